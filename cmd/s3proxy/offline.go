package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

// offlineFlags are the flags of encrypt and decrypt besides the settings.
type offlineFlags struct {
	output, metadata, bucket, key string
	floor                         string // a file
	force                         bool
}

func (o *offlineFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "`file` to write, \"-\" for standard output")
	f.StringVar(&o.metadata, "metadata", "", "JSON `file` with the object's metadata")
	f.StringVar(&o.bucket, "bucket", "", "`name` of the object's bucket")
	f.StringVar(&o.key, "key", "", "the object's `key`")
	f.StringVar(&o.floor, "floor", "", "`file` with a copy of the bucket's .s3proxy/floor, if keys rekey has put one there and no store is named")
	f.BoolVar(&o.force, "force", false, "replace an existing object or file")
}

// stores gives the stores of a command that can do without one.
func (o *offlineFlags) stores(c *config.Config, log *slog.Logger) *stores {
	s := newStores(c, log)
	if o.floor != "" {
		s.offlineFloor = fileFloor(o.floor)
	}
	return s
}

// fileFloor is the path of a file with the floor of the one bucket that matters.
type fileFloor string

// GetFloor implements kms.Floors.
func (f fileFloor) GetFloor(context.Context, string) ([]byte, string, error) {
	floor, err := os.ReadFile(string(f))
	if err != nil {
		return nil, "", fmt.Errorf("read the bucket's floor: %w", err)
	}
	return floor, "", nil
}

// PutFloor implements kms.Floors: the file is only read.
func (f fileFloor) PutFloor(context.Context, string, string, []byte) error {
	return errors.ErrUnsupported
}

// raw checks the flags that say which object the raw bytes in a file are of.
func (o *offlineFlags) raw() error {
	if o.metadata == "" || o.bucket == "" || o.key == "" || o.output == "" {
		return config.Usagef("raw bytes in a file need --metadata, --bucket, --key and --output")
	}
	return nil
}

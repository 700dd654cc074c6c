package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func encryptCommand() *cobra.Command {
	o := &offlineFlags{}
	var contentType string
	var user map[string]string
	cmd := &cobra.Command{
		Use:   "encrypt FILE s3://bucket/key | encrypt FILE -o FILE",
		Short: "Encrypt a file into the store, or into a file, without a running proxy",
		Long: `Writes an object of up to 5 GiB as the proxy would, or writes an object's raw bytes
and metadata into two files, from which any tool can upload it. The KMS wraps the
object's key itself, so that the object needs nothing else in the bucket.

Without --force, an existing object or file is kept; for an object this needs a
store that honours If-None-Match. The metadata file is what
"aws s3api put-object --metadata file://FILE" takes.`,
		Example: `  s3proxy encrypt cat.jpg s3://photos/2026/cat.jpg --content-type image/jpeg --user-metadata colour=black
  tar c docs | s3proxy encrypt - s3://backup/docs.tar --upstream https://s3.example.com --kms localfile:///etc/s3proxy/keyset.json
  s3proxy encrypt cat.jpg -o cat.raw --metadata cat.json --bucket photos --key cat.jpg`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return config.Usagef("encrypt takes a file, and s3://bucket/key or --output")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			c.KeyWindow = 0 // a window and its record are not worth it for one object
			log := newLogger(c, cmd.ErrOrStderr())
			if len(args) == 1 {
				if contentType != "" {
					return config.Usagef("--content-type is only for an object in a store")
				}
				if err := o.raw(); err != nil {
					return err
				}
				return encryptRaw(cmd.Context(), c, o, args[0], user, cmd.ErrOrStderr(), log)
			}
			bucket, key, err := parseObjectURL(args[1])
			if err != nil {
				return err
			}
			if o.metadata != "" || o.bucket != "" || o.key != "" || o.output != "" {
				return config.Usagef("--output, --metadata, --bucket and --key are only for raw bytes in a file")
			}
			return encryptStored(cmd.Context(), c, args[0], bucket, key, headersOf(contentType, user, o.force), cmd.ErrOrStderr(), log)
		},
	}
	config.StoreFlags(cmd.Flags())
	o.add(cmd)
	cmd.Flags().StringVar(&contentType, "content-type", "", "the object's content `type`")
	cmd.Flags().StringToStringVar(&user, "user-metadata", nil, "user metadata of the object, `name=value`; repeatable")
	return cmd
}

// headersOf gives the headers of the PUT. Without force the PUT replaces nothing.
func headersOf(contentType string, user map[string]string, force bool) http.Header {
	h := http.Header{}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	for name, value := range user {
		h["x-amz-meta-"+strings.ToLower(name)] = []string{value}
	}
	if !force {
		h.Set("If-None-Match", "*")
	}
	return h
}

// encryptStored puts the file through a proxy inside of this process.
func encryptStored(ctx context.Context, c *config.Config, path, bucket, key string, h http.Header, errOut io.Writer, log *slog.Logger) error {
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	b, err := stores.bucket(ctx, bucket)
	if err != nil {
		return err
	}
	if b.Passthrough {
		return fmt.Errorf("bucket %s is configured with encrypt: false", bucket)
	}
	at, err := s3name.ParseBucket(bucket)
	if err != nil {
		return config.Usagef("s3://%s: %w", bucket, err)
	}
	object, err := s3name.ParseKey(key)
	if err != nil {
		return config.Usagef("s3://%s/%s: %w", bucket, key, err)
	}
	f, size, err := openInput(path)
	if err != nil {
		return err
	}
	defer f.Close()
	client, stop, err := inProcess(proxy.Config{Default: b, State: c.State, Log: log})
	if err != nil {
		return err
	}
	defer stop()
	bar := progress(size, errOut)
	resp, err := client.Do(ctx, &upstream.Request{
		Method: http.MethodPut, Bucket: at, Key: object, Header: h, Body: bar.NewProxyReader(f), Length: size,
	})
	bar.Finish()
	if err != nil {
		return fmt.Errorf("s3://%s/%s: %w", bucket, key, err)
	}
	return resp.Body.Close()
}

// encryptRaw writes what a store would hold into two files.
func encryptRaw(ctx context.Context, c *config.Config, o *offlineFlags, path string, user map[string]string, errOut io.Writer, log *slog.Logger) error {
	if o.metadata == "-" || o.metadata == o.output {
		return config.Usagef("--metadata and --output must be two different files")
	}
	f, size, err := openInput(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := o.stores(c, log).keysOnly(ctx, o.bucket)
	if err != nil {
		return err
	}
	bar := progress(size, errOut)
	defer bar.Finish()
	fields, sealed, err := object.SealRaw(ctx, b, o.bucket, o.key, bar.NewProxyReader(f), size)
	if err != nil {
		return err
	}
	defer sealed.Close()
	for name := range user {
		if strings.HasPrefix(strings.ToLower(name), "s3proxy-") {
			return config.Usagef("--user-metadata: names that begin with s3proxy- belong to s3proxy")
		}
	}
	maps.Copy(fields, user)
	body, err := createOutput(o.output, o.force)
	if err != nil {
		return err
	}
	defer body.discard()
	metadata, err := createOutput(o.metadata, o.force)
	if err != nil {
		return err
	}
	defer metadata.discard()
	if err := json.NewEncoder(metadata).Encode(fields); err != nil {
		return err
	}
	if _, err := io.Copy(body, sealed); err != nil {
		return fmt.Errorf("encrypt %s: %w", path, err)
	}
	if err := body.finish(); err != nil {
		return err
	}
	return metadata.finish()
}

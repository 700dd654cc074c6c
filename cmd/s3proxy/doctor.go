package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/doctor"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	bucket, endpoint string
	readOnly, json   bool
}

func doctorCommand() *cobra.Command {
	var o doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether everything that serve needs is well, and say what to do",
		Long: `Looks, with the settings of serve, at the configuration, the clients' credentials, the
machine, each key and each store, and says of each thing whether it is well and what to do if
not. It writes nothing.

With --bucket it also looks at a bucket: versioning, lifecycle rules, a round trip of a test
object, and what the store can do. This WRITES: test objects below ` + doctor.Folder + `, and one
below .s3proxy/, which are removed at the end. --read-only leaves that out.

With --endpoint it looks at a running proxy instead, as a client does, perhaps by way of a
balancer: the key is that of ` + config.EnvAccessKey + ` and ` + config.EnvSecretKey + `, or the
first that is configured. With --bucket as well, it writes a test object there.

The exit code is 0 if all is well, 3 if there are findings, and 1 if it could not look.`,
		Example: `  s3proxy doctor --config /etc/s3proxy/config.yaml
  s3proxy doctor --bucket photos --upstream https://s3.example.com --kms vault://transit/photos
  s3proxy doctor --endpoint https://s3.intern.example.com --bucket photos --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.readOnly && o.bucket == "" {
				return config.Usagef("read-only is set but bucket is not: without a bucket nothing is written")
			}
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	config.ServeFlags(f)
	f.StringVar(&o.bucket, "bucket", "", "`name` of a bucket to look at, and to write test objects in")
	f.StringVar(&o.endpoint, "endpoint", "", "`URL` of a running proxy, to look at as a client does")
	f.BoolVar(&o.readOnly, "read-only", false, "write no test objects")
	f.BoolVar(&o.json, "json", false, "print JSON, one line for each check")
	return cmd
}

func (o *doctorFlags) run(ctx context.Context, c *config.Config, out, errOut io.Writer) error {
	c.KeyWindow = 0 // test objects leave no window records
	stores := newStores(c, newLogger(c, errOut))
	stores.attempts = 1 // what fails now and then is a finding
	defer stores.close()
	checks, stop, err := o.checks(ctx, stores)
	if err != nil {
		return err
	}
	defer stop()
	count, err := doctor.Run(ctx, checks, func(r doctor.Result) error {
		if o.json {
			return json.NewEncoder(out).Encode(r)
		}
		return printResult(out, r)
	})
	if err != nil {
		return err
	}
	found := fmt.Sprintf("%d checks: %d ok, %d warnings, %d failed, %d skipped", len(checks), count[doctor.OK], count[doctor.Warning], count[doctor.Failed], count[doctor.Skipped])
	if count[doctor.Warning]+count[doctor.Failed] > 0 {
		return ops.No{Err: fmt.Errorf("not all is well: %s", found)}
	}
	if !o.json {
		_, err = fmt.Fprintln(out, found)
	}
	return err
}

func printResult(out io.Writer, r doctor.Result) error {
	name := r.Check
	if r.At != "" {
		name += " " + r.At
	}
	_, err := fmt.Fprintf(out, "%-8s %s: %s\n", r.State, name, r.Found)
	if err == nil && r.Do != "" {
		_, err = fmt.Fprintf(out, "         -> %s\n", strings.TrimSuffix(r.Do, "."))
	}
	return err
}

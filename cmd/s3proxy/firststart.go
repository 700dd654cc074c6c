package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// firstKeyset makes the keyset of the data folder if there is none and --kms names no other
// key. If the embedded store has encrypted data but there is no keyset, the keyset was lost,
// and a new one would hide that.
func firstKeyset(ctx context.Context, c *config.Config, stores *stores) (made bool, err error) {
	if c.KMS != "" || stores.embedded == nil {
		return false, nil
	}
	path := c.KeysetPath()
	if have, err := exists(path); have || err != nil {
		return false, err
	}
	found, err := findEncrypted(ctx, stores)
	if err != nil {
		return false, err
	}
	if found != "" {
		return false, fmt.Errorf("the keyset %s is missing, but the store in %s holds data that was encrypted under it (%s): restore the keyset from its backup. Without it this data is lost; to start over, move the data folder away", path, c.DataDir, found)
	}
	if err := localfile.Create(path, fromEnvironment); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	return true, nil
}

// tellOfOwnClient says that the client whom a first start made is one no longer, since others are
// configured: whoever used it finds out otherwise by a refusal.
func tellOfOwnClient(c *config.Config, clients *config.Credentials, log *slog.Logger) {
	if clients.Own.ID != "" || c.DataDir == "" || c.Auth == config.AuthNone {
		return
	}
	path := filepath.Join(c.DataDir, "credentials")
	if there, err := exists(path); there && err == nil {
		log.Warn("the client of the data folder is not used, since others are configured", "file", path)
	}
}

// announce prints what a person needs to know at a first start, and no secret.
func announce(to io.Writer, c *config.Config, client config.ClientKey, endpoint string, madeKeyset bool) {
	out := new(bytes.Buffer)
	defer out.WriteTo(to) // at once, whoever else writes
	store := "the store in " + c.DataDir
	if c.UpstreamURL != nil {
		store = c.UpstreamURL.Redacted()
		if c.UpstreamFrom != "" {
			store += " (from " + c.UpstreamFrom + ")"
		}
	}
	fmt.Fprintf(out, "s3proxy listens on %s and encrypts everything in %s\n", endpoint, store)
	if n := len(c.Buckets); n > 0 {
		fmt.Fprintf(out, "Buckets with settings of their own: %s\n", strings.Join(slices.Sorted(maps.Keys(c.Buckets)), ", "))
	}
	if object.ETagMode(c.ETag) == object.ETagOpaque {
		fmt.Fprintln(out, "ETags are no MD5s: rclone's providers AWS and Minio want --etag md5 (docs/clients).")
	}
	if c.KMS == "" {
		verb := "The key is"
		if madeKeyset {
			verb = "A new key was made:"
		}
		fmt.Fprintf(out, "%s %s - back it up: if it is lost, the data is lost.\n", verb, c.KeysetPath())
	}
	if c.Auth == config.AuthNone {
		fmt.Fprintf(out, "Try it:\n  aws --no-sign-request --endpoint-url %s --region %s s3 ls\n", endpoint, c.SomeRegion())
	}
	if client.ID != "" {
		fmt.Fprintf(out, "Try it:\n  %s\n", tryLine(client, endpoint, c.SomeRegion()))
	}
}

// tryLine is an aws command that works when it is copied into a shell.
func tryLine(k config.ClientKey, endpoint, region string) string {
	var b strings.Builder
	if k.File == "" {
		fmt.Fprintf(&b, `AWS_ACCESS_KEY_ID="$%s" AWS_SECRET_ACCESS_KEY="$%s" `, config.EnvAccessKey, config.EnvSecretKey)
	} else {
		// These would override the file.
		var unset []string
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"} {
			if os.Getenv(name) != "" {
				unset = append(unset, "-u "+name)
			}
		}
		if len(unset) > 0 {
			b.WriteString("env " + strings.Join(unset, " ") + " ")
		}
		b.WriteString("AWS_SHARED_CREDENTIALS_FILE=" + shellQuote(k.File) + " ")
	}
	verb := "ls"
	if k.Made {
		verb = "mb s3://first-bucket"
	}
	fmt.Fprintf(&b, "aws --endpoint-url %s --region %s s3 %s", endpoint, region, verb)
	return b.String()
}

func shellQuote(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Command vault is HashiCorp Vault's core with its HTTP API, the transit engine and
// AppRole, for tests: the whole of Vault has the dependencies of every cloud. It keeps
// its data in a folder, starts sealed, and ends by SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/helper/pluginconsts"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/vault"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8200", "address")
	dir := flag.String("dir", "", "folder of the data")
	flag.Parse()
	if err := run(*listen, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func run(listen, dir string) error {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr})
	var store physical.Backend
	store, err := file.NewFileBackend(map[string]string{"path": dir}, log)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:     store,
		DisableMlock: true,
		Logger:       log,
		LogicalBackends: map[string]logical.Factory{
			pluginconsts.SecretEngineTransit: transit.Factory,
		},
		CredentialBackends: map[string]logical.Factory{
			pluginconsts.AuthTypeApprole: approle.Factory,
		},
		BuiltinRegistry: registry{},
	})
	if err != nil {
		return err
	}
	socket, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := http.Server{Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:                  core,
		ListenerConfig:        &configutil.Listener{Type: "tcp", Address: listen, TLSDisable: true},
		DisablePrintableCheck: true,
	})}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(end)
	}()
	if err := server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return core.Shutdown()
}

// registry knows the two backends that are compiled in.
type registry struct{}

func (registry) Contains(name string, kind consts.PluginType) bool {
	return name == pluginconsts.SecretEngineTransit && kind == consts.PluginTypeSecrets ||
		name == pluginconsts.AuthTypeApprole && kind == consts.PluginTypeCredential
}

func (r registry) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	return nil, false
}

func (r registry) Keys(kind consts.PluginType) []string {
	switch kind {
	case consts.PluginTypeSecrets:
		return []string{pluginconsts.SecretEngineTransit}
	case consts.PluginTypeCredential:
		return []string{pluginconsts.AuthTypeApprole}
	}
	return nil
}

func (registry) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, true
}

func (r registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

package watch

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Follow reloads what stands in files when they change, and at each SIGHUP, until stop is called.
// reload gives the files to watch next, and whether anything is new; what it could not use stays
// as it was, and the log says why, once. what is the subject of the log's sentences, in the plural;
// news is told what the log is.
func Follow(what string, files []string, reload func() (files []string, changed bool, err error), news func(error), log *slog.Logger) (stop func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	watched := New(files, log)
	go func() {
		wrong := "" // what the log said last
		for {
			asked := false
			select {
			case <-done:
				return
			case <-watched.Changed:
			case <-signals:
				asked = true
			}
			files, changed, err := reload()
			watched.Set(files)
			switch {
			case err != nil && (asked || err.Error() != wrong):
				wrong = err.Error()
				news(err)
				log.Error(what+" were not reloaded: the old ones stay valid", "error", err)
			case err == nil && (asked || changed || wrong != ""):
				wrong = ""
				news(nil)
				log.Info(what + " were reloaded")
			}
		}
	}()
	return func() { signal.Stop(signals); close(done); watched.Close() }
}

package everyclient

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// databases are backups of databases, each restored.
func databases() []client {
	return []client{
		{
			name: "barman-cli-cloud", what: "WAL archive, base backup and restore of a PostgreSQL that was written to in between, as CloudNativePG does it",
			version: barmanVersion, run: runBarman, quick: true,
			places: []string{"minio direct", "versitygw direct", "minio md5", "versitygw opaque", "minio opaque https", "minio opaque"},
			note:   "[recipe](cloudnativepg.md)",
		},
		{
			name: "pgBackRest", what: "stanza, full and incremental backup, check, verify and restore of a PostgreSQL, over https",
			version: func(t testing.TB) string { return lab.Packaged(t, "pgbackrest") },
			run:     runPgBackRest, places: overHTTPS, note: "[recipe](pgbackrest.md)",
		},
	}
}

func barmanVersion(t testing.TB) string {
	return lab.Packaged(t, "barman-cli-cloud") + ", PostgreSQL " + said(t, postgres(t)+"/postgres", "--version")
}

// postgres gives the folder of PostgreSQL's programs.
func postgres(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		lab.Skip(t, "PostgreSQL is not installed")
	}
	return filepath.Dir(found[len(found)-1])
}

const (
	// startedPostgres is a server with a table of 8 MB.
	startedPostgres = `
export PGDATA=$HOME/data PGHOST=$HOME PGUSER=postgres LC_ALL=C
trap 'pg_ctl stop -m immediate >/dev/null 2>&1 || true' EXIT
initdb -U postgres -A trust --no-sync >/dev/null
printf "listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\n" "$HOME" >>$PGDATA/postgresql.conf
pg_ctl start -w -l log >/dev/null
psql -qc "create table t as select i, repeat(md5(i::text), 2) as v from generate_series(1, 60000) i"
`
	// writtenPostgres goes on after the backup, archives what it wrote, and is lost.
	writtenPostgres = `
psql -qc "insert into t select i, repeat(md5(i::text), 2) from generate_series(60001, 100000) i"
WANT=$(psql -Atc "select count(*), md5(string_agg(v, '' order by i)) from t")
LAST=$(psql -Atc "select pg_walfile_name(pg_switch_wal())")
for i in $(seq 300); do test "$(psql -Atc 'select last_archived_wal from pg_stat_archiver')" = "$LAST" && break; sleep 0.2; done
test "$(psql -Atc 'select failed_count from pg_stat_archiver')" = 0
pg_ctl stop -m fast >/dev/null
rm -rf "$PGDATA"
`
	// restoredPostgres must have everything.
	restoredPostgres = `
for i in $(seq 300); do test "$(psql -Atc 'select pg_is_in_recovery()')" = f && break; sleep 0.2; done
GOT=$(psql -Atc "select count(*), md5(string_agg(v, '' order by i)) from t")
test "$GOT" = "$WANT" || { echo "$GOT, want $WANT"; exit 1; }
echo "restored $GOT"
`
)

// restorePostgres runs a page's two blocks: a backup of a running server, and its restore.
func restorePostgres(t *testing.T, p place, page string) {
	t.Helper()
	blocks := lab.DocBlocks(t, "clients/"+page, "sh")
	if len(blocks) != 2 {
		t.Fatalf("docs/clients/%s has %d blocks of commands, not a backup and a restore", page, len(blocks))
	}
	known := programs{}
	for _, name := range []string{"initdb", "pg_ctl", "psql"} {
		known[name] = filepath.Join(postgres(t), name)
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "postgres"
	}
	out := p.scriptOf(t, user, startedPostgres+blocks[0]+"\n"+writtenPostgres+blocks[1]+"\n"+restoredPostgres, p.bucket(t), known)
	if !strings.Contains(out, "restored 100000|") {
		t.Errorf("it printed\n%s", out)
	}
}

func runBarman(t *testing.T, p place) { restorePostgres(t, p, "cloudnativepg.md") }

func runPgBackRest(t *testing.T, p place) { restorePostgres(t, p, "pgbackrest.md") }

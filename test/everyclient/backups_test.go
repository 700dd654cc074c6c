package everyclient

import (
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// backups are programs that keep files, each restored.
func backups() []client {
	return []client{
		{
			name: "restic", what: "init, backup, check --read-data, restore, forget --prune",
			version: func(t testing.TB) string { return lab.ClientVersion(t, "restic", "github.com/restic/restic") },
			run: func(t *testing.T, p place) {
				restoreFiles(t, p, "restic.md", "restic", lab.Client(t, "restic"), "/restored$HOME/files")
			},
			note: "[recipe](restic.md)",
		},
		{
			name: "kopia", what: "repository over https, validate-provider, snapshot, verify, restore, maintenance; a repository of the past in a bucket with versions",
			version: func(t testing.TB) string { return lab.ClientVersion(t, "kopia", "github.com/kopia/kopia") },
			run:     runKopia, places: overHTTPS, note: "[recipe](kopia.md)",
			except: map[string]string{"versitygw direct https": "the test's has no versions"},
		},
		{
			name: "rclone's recipe", what: "sync, check, check --download, copy",
			version: rcloneVersion, note: "[recipe](rclone.md)",
			run: func(t *testing.T, p place) {
				restoreFiles(t, p, "rclone.md", "rclone", lab.Client(t, "rclone"), "/restored")
			},
		},
		{
			name: "duplicity", what: "full, incremental, verify, restore",
			version: func(t testing.TB) string { return lab.Packaged(t, "duplicity") },
			run: func(t *testing.T, p place) {
				restoreFiles(t, p, "duplicity.md", "duplicity", lab.Need(t, "duplicity"), "/restored")
			},
			note: "[recipe](duplicity.md)",
		},
		{
			name: "Litestream", what: "replicate a SQLite database that is written to, restore it",
			version: func(t testing.TB) string {
				return lab.ClientVersion(t, "litestream", "github.com/benbjohnson/litestream")
			},
			run: runLitestream, note: "[recipe](litestream.md)",
		},
	}
}

// files are what backups are made of: small ones, and one of 30,000,000 bytes.
const files = `
mkdir -p files/dir; head -c 30000000 /dev/urandom >files/large; : >files/empty
for i in $(seq 50); do echo "file $i" >files/dir/$i; done
`

// restoreFiles runs a page's commands, which bring ~/files to ~ followed by restored.
func restoreFiles(t *testing.T, p place, page, name, program, restored string) {
	t.Helper()
	block := lab.DocBlocks(t, "clients/"+page, "sh")[0]
	p.script(t, files+block+"\ndiff -r files \"$HOME"+restored+"\"\n", p.bucket(t), programs{name: program})
}

func runKopia(t *testing.T, p place) {
	block := lab.DocBlocks(t, "clients/kopia.md", "sh")[0]
	versioned := p.bucket(t)
	p.script(t, files+block+`
diff -r files restored
kopia repository disconnect
aws --endpoint-url https://s3proxy.example.com s3api put-bucket-versioning --bucket `+versioned+` --versioning-configuration Status=Enabled
TO="--bucket `+versioned+` --endpoint s3proxy.example.com --access-key the-clients-access-key --secret-access-key"
kopia repository create s3 $TO 'the-clients-secret-key'
kopia snapshot create files
sleep 2; NOW=$(date -u +%Y-%m-%dT%H:%M:%SZ); sleep 2
echo later >files/dir/1; kopia snapshot create files
for id in $(kopia snapshot list --all --json | jq -r '.[].id'); do kopia snapshot delete --delete $id; done
kopia repository disconnect
kopia repository connect s3 $TO 'the-clients-secret-key' --point-in-time "$NOW"
kopia snapshot list --all --json | jq -e 'length == 1'
kopia snapshot restore "$(kopia snapshot list --all --json | jq -r '.[0].id')" past
test "$(cat past/dir/1)" = "file 1"; cmp past/large files/large
`, p.bucket(t), programs{"kopia": lab.Client(t, "kopia"), "aws": lab.NeedAWS(t, lab.Newest)})
}

func runLitestream(t *testing.T, p place) {
	blocks := lab.DocBlocks(t, "clients/litestream.md", "sh")
	p.script(t, `
sqlite3 app.db "pragma journal_mode = wal; create table t (i integer, v blob)"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
`+blocks[0]+`
for i in $(seq 10); do sqlite3 -cmd '.timeout 20000' app.db "insert into t select $i, randomblob(100000) from generate_series(1, 10)"; sleep 0.3; done
WANT=$(sqlite3 -cmd '.timeout 20000' app.db "select count(*), sum(length(v)), hex(max(v)) from t" | md5sum)
sleep 3 && kill -TERM %1 && wait %1 || true
rm app.db*
`+blocks[1]+`
test "$(sqlite3 restored.db "select count(*), sum(length(v)), hex(max(v)) from t" | md5sum)" = "$WANT"
test "$(sqlite3 restored.db "select count(*) from t")" = 100
`, p.bucket(t), programs{"litestream": lab.Client(t, "litestream")})
}

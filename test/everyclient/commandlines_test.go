package everyclient

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// commandLines are tools for people at a terminal.
func commandLines() []client {
	return []client{
		{
			name: "aws-cli", what: "mb, cp of 3 and 30,000,000 bytes, ls, sync, mv, a presigned URL, rm, rb",
			version: func(t testing.TB) string { return said(t, lab.NeedAWS(t, lab.Newest), "--version") },
			run:     runAWS, note: "1.45 signs URLs with version 2, which versitygw itself does not know: there, version 4",
		},
		{
			name: "s3cmd", what: "put of 3 and 30,000,000 bytes (in parts), ls, info, get, sync, modify, cp, mv, signurl, del",
			version: func(t testing.TB) string { return lab.Packaged(t, "s3cmd") },
			run:     runS3cmd, note: "signurl is of version 2, which versitygw itself does not know: not run there",
		},
		{
			name: "mc", what: "mb, cp, mirror, cat, stat, ls, find, mv, version, share, rm; on MinIO diff, and rb --force of a bucket with a default retention",
			version: func(t testing.TB) string { return lab.ClientVersion(t, "mc", "github.com/minio/mc") },
			run:     runMC, note: "diff finds other metadata on versitygw, direct too",
		},
		{
			name: "rclone, provider Other", what: "copy in parts of 5 MiB, four threads, check, check --download, sync, cat, move, purge",
			version: rcloneVersion, run: runRclone("Other"),
		},
		{
			name: "rclone, provider Minio", what: "the same",
			version: rcloneVersion, run: runRclone("Minio"), places: onMinIO,
			note: "it takes the ETag of parts for an MD5, whatever the answer says: `--etag md5`; or rclone's own `server_side_encryption = aws:kms`, as run with `--etag opaque`",
		},
		{
			name: "rclone, provider AWS", what: "the same, over https, with the bucket in the host",
			version: rcloneVersion, run: runRclone("AWS"), places: minioHTTPS,
			note: "as with provider Minio",
		},
		{
			name: "s3fs", what: "mount, 3 and 30,000,000 bytes written and read, chmod of both, rename, append, delete",
			version: func(t testing.TB) string { return lab.Packaged(t, "s3fs") },
			run:     runS3fs, places: onMinIO,
			note: "`enable_content_md5`, which is off by default, takes a part's ETag for its MD5: `--etag md5`",
		},
	}
}

// versionOf finds the number in what a program says of itself.
var versionOf = regexp.MustCompile(`\d+(\.\d+)+`)

func said(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return versionOf.FindString(string(out))
}

// made are the files that scripts send.
const made = "mkdir up down; printf abc >up/small; head -c 30000000 /dev/urandom >up/large\n"

func runAWS(t *testing.T, p place) {
	script := made + `
export AWS_ENDPOINT_URL=https://s3proxy.example.com
B=s3://example-bucket-made
aws s3 mb $B
aws s3 cp --recursive --only-show-errors up $B/dir/
aws s3 ls $B/dir/ | grep -w 30000000
aws s3 cp --recursive --only-show-errors $B/dir/ down; diff -r up down
test -z "$(aws s3 sync --size-only up $B/dir/)"
aws s3 mv --only-show-errors $B/dir/large $B/moved; aws s3 cp --only-show-errors $B/moved - | cmp - up/large
curl -fsS "$(aws s3 presign $B/dir/small)" | cmp - up/small
aws s3 rm --only-show-errors --recursive $B; aws s3 rb $B
`
	if p.direct() && p.store == lab.OnVersitygw {
		script = "printf '[default]\\ns3 =\\n  signature_version = s3v4\\n' >config; export AWS_CONFIG_FILE=$PWD/config\n" + script
	}
	p.script(t, script, p.bucket(t), programs{"aws": lab.NeedAWS(t, lab.Newest)})
}

func runS3cmd(t *testing.T, p place) {
	script := `
cat >.s3cfg <<END
[default]
access_key = the-clients-access-key
secret_key = the-clients-secret-key
host_base = s3proxy.example.com
host_bucket = s3proxy.example.com
use_https = False
END
` + made + `
B=s3://example-bucket
s3cmd --no-progress put --recursive up/ $B/dir/ 2>&1 | tee log; not grep WARNING log
s3cmd ls $B/dir/ | grep -w 30000000
s3cmd info $B/dir/large | grep 'File size: *30000000'
s3cmd --no-progress get --recursive $B/dir/ down/ 2>&1 | tee log; not grep WARNING log
diff -r up down
s3cmd --no-progress sync up/ $B/dir/ | tee log; not grep upload: log
s3cmd modify --add-header=x-amz-meta-colour:blue $B/dir/small
s3cmd info $B/dir/small | grep 'x-amz-meta-colour: blue'
s3cmd cp $B/dir/large $B/copy
s3cmd mv $B/copy $B/moved
s3cmd --no-progress get $B/moved moved; cmp moved up/large
`
	if !p.direct() || p.store == lab.OnMinIO {
		script += "curl -fsS \"$(s3cmd signurl $B/dir/small +60)\" | cmp - up/small\n"
	}
	script += "s3cmd del --recursive --force $B; s3cmd rb $B\n"
	p.script(t, script, p.bucket(t), programs{"s3cmd": lab.Need(t, "s3cmd")})
}

func runMC(t *testing.T, p place) {
	script := made + `
mc alias set at https://s3proxy.example.com the-clients-access-key 'the-clients-secret-key'
B=at/example-bucket-made
mc mb $B
mc cp --recursive up/ $B/dir/
mc ls --recursive $B | grep large
mc stat $B/dir/large
mc cp --recursive $B/dir/ down/; diff -r up down
mc cat $B/dir/large | cmp - up/large
mc mirror up $B/mirror
mc find $B --name large
mc mv $B/dir/large $B/moved
mc version enable $B; mc cp up/small $B/moved
mc ls --versions $B/moved
curl -fsS "$(mc share download --json $B/moved | jq -r .share)" | cmp - up/small
mc rm --recursive --versions --force $B; mc rb $B
`
	if p.store == lab.OnMinIO {
		script = strings.Replace(script, "mc mirror up $B/mirror\n", "mc mirror up $B/mirror; mc diff up $B/mirror | tee log; not test -s log\n", 1) + `
mc mb --with-lock $B-locked; mc retention set --default GOVERNANCE 1d $B-locked
mc cp up/small $B-locked/small
mc rm --recursive --versions --force --bypass $B-locked
mc rb --force $B-locked
`
	}
	p.script(t, script, p.bucket(t), programs{"mc": lab.Client(t, "mc")})
}

func rcloneVersion(t testing.TB) string {
	return lab.ClientVersion(t, "rclone", "github.com/rclone/rclone")
}

func runRclone(provider string) func(*testing.T, place) {
	return func(t *testing.T, p place) {
		script := "export RCLONE_CONFIG_X_PROVIDER=" + provider + " RCLONE_CONFIG_X_SERVER_SIDE_ENCRYPTION=\n" + `
export RCLONE_CONFIG=$PWD/rclone.conf RCLONE_CONFIG_X_TYPE=s3 RCLONE_CONFIG_X_ENDPOINT=https://s3proxy.example.com RCLONE_CONFIG_X_ENV_AUTH=true
export RCLONE_CONFIG_X_UPLOAD_CUTOFF=10M RCLONE_CONFIG_X_CHUNK_SIZE=5M RCLONE_RETRIES=1 RCLONE_LOW_LEVEL_RETRIES=1
touch rclone.conf
` + made + `
rclone copy up x:example-bucket/dir
rclone check --download up x:example-bucket/dir; rclone check -v up x:example-bucket/dir 2>&1 | tee log
rclone copy --multi-thread-streams 4 --multi-thread-cutoff 10M x:example-bucket/dir down; diff -r up down
printf more >up/more; rm up/small; rclone sync up x:example-bucket/dir
test "$(rclone lsf x:example-bucket/dir)" = "$(printf 'large\nmore')"
rclone cat --offset 100 --count 3 x:example-bucket/dir/large | cmp - <(tail -c +101 up/large | head -c 3)
rclone moveto x:example-bucket/dir/large x:example-bucket/moved; rclone cat x:example-bucket/moved | cmp - up/large
head -c 12000000 up/large | rclone rcat x:example-bucket/piped; rclone cat x:example-bucket/piped | cmp - <(head -c 12000000 up/large)
rclone purge x:example-bucket/dir
`
		if p.mode != "opaque" || provider != "Other" { // the MD5 is found, in the ETag or where rclone keeps it
			script += "grep 'Using md5' log; not grep 'could not be checked' log\n"
		}
		if p.mode == "opaque" && provider != "Other" {
			script = strings.Replace(script, "ENCRYPTION=\n", "ENCRYPTION=aws:kms\n", 1)
		}
		if provider == "AWS" { // the bucket is always in the host
			script = "export HTTPS_PROXY=" + lab.Loopback(t) + "\n" + script
		}
		p.script(t, script, p.bucket(t), programs{"rclone": lab.Client(t, "rclone")})
	}
}

func runS3fs(t *testing.T, p place) {
	lab.NeedRoot(t)
	options := "OPTIONS=\n"
	if p.mode != "opaque" {
		options = "OPTIONS=' -o enable_content_md5'\n"
	}
	p.script(t, options+`
printf '%s:%s' "the-clients-access-key" "the-clients-secret-key" >passwd; chmod 600 passwd
mkdir at; s3fs example-bucket at -o passwd_file=passwd -o url=https://s3proxy.example.com -o use_path_request_style$OPTIONS
trap 'fusermount -u at' EXIT
`+made+`
cp up/small up/large at/; cmp up/large at/large; cmp up/small at/small
chmod 640 at/small at/large; test "$(stat -c %a at/large)" = 640; cmp up/large at/large
mkdir at/dir; mv at/large at/dir/moved; cmp up/large at/dir/moved
printf more >>at/dir/moved; test "$(tail -c 4 at/dir/moved)" = more; test "$(stat -c %s at/dir/moved)" = 30000004
rm at/small at/dir/moved; rmdir at/dir; test -z "$(ls at)"
`, p.bucket(t), programs{"s3fs": lab.Need(t, "s3fs")})
}

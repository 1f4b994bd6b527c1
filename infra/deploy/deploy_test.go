package deploy

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The programs of AWS are played by scripts that write down what they are asked; nothing leaves the machine.
const (
	fakeSAM = `#!/bin/sh
echo "sam $* (GOARCH=$GOARCH)" >> calls
`
	fakeMake = `#!/bin/sh
echo "make $*" >> calls
`
	fakeAWS = `#!/bin/sh
case "$*" in
"sts "*) exit "${NO_CREDENTIALS:-0}" ;;
"configure get region") echo eu-central-1; exit ;;
"cloudformation describe-stacks "*) cat outputs; exit ;;
"s3 cp "*config.json*) echo "config $(cat "$3")" >> calls ;;
esac
echo "aws $*" | sed 's#cp /[^ ]*#cp FILE#' >> calls
`
	outputs = `[{"OutputKey": "Page", "OutputValue": "https://page.test/"}, {"OutputKey": "WebSocket", "OutputValue": "wss://api.test/v1"},
 {"OutputKey": "Issuer", "OutputValue": "https://issuer.test/pool"}, {"OutputKey": "PageClient", "OutputValue": "client"},
 {"OutputKey": "PageScope", "OutputValue": "openid \"clock\""}, {"OutputKey": "PageFiles", "OutputValue": "bucket"},
 {"OutputKey": "PageDistribution", "OutputValue": "E1"}]`
)

// site is a folder with a built page, and one of programs that has these fakes and what the script uses beside them.
func site(t *testing.T, fakes map[string]string) (root, bin string) {
	t.Helper()
	root, bin = t.TempDir(), t.TempDir()
	for name, content := range map[string]string{"web/dist/index.html": "page", "web/dist/assets/a.js": "1", "outputs": outputs} {
		write(t, filepath.Join(root, name), content)
	}
	for name, content := range fakes {
		write(t, filepath.Join(bin, name), content)
	}
	write(t, filepath.Join(bin, "make"), fakeMake)
	for _, name := range []string{"sh", "bash", "node", "cat", "mktemp", "rm", "sed"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root, bin
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// deploy runs the script and returns what it said and what it called.
func deploy(t *testing.T, root, bin string, env ...string) (said, calls string, err error) {
	t.Helper()
	script, err := filepath.Abs("deploy.sh")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), filepath.Join(bin, "bash"), script)
	command.Dir, command.Env = root, append([]string{"PATH=" + bin, "SAM=sam", "HOME=" + root}, env...)
	out, failed := command.CombinedOutput()
	called, err := os.ReadFile(filepath.Join(root, "calls"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(out), string(called), failed
}

func TestStackThenPage(t *testing.T) {
	root, bin := site(t, map[string]string{"sam": fakeSAM, "aws": fakeAWS})
	said, calls, err := deploy(t, root, bin, `PARAMETERS=Issuer=https://i.test/ PageScope="openid clock"`, "GOARCH=amd64", "YES=1")
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	want := `make --no-print-directory web/dist/index.html
sam build --parameter-overrides Architecture=x86_64 (GOARCH=amd64)
sam deploy --stack-name carrel --no-confirm-changeset --parameter-overrides Architecture="x86_64" Issuer="https://i.test/" PageScope="openid clock" (GOARCH=amd64)
aws s3 cp web/dist/assets s3://bucket/assets --recursive --only-show-errors --cache-control public, max-age=31536000, immutable
config {"websocket":"wss://api.test/v1","issuer":"https://issuer.test/pool","clientId":"client","scope":"openid \"clock\""}
aws s3 cp FILE s3://bucket/config.json --only-show-errors --content-type application/json --cache-control no-store
aws s3 cp web/dist s3://bucket --recursive --exclude assets/* --only-show-errors --cache-control no-cache
aws cloudfront create-invalidation --distribution-id E1 --paths /* --output text
`
	if calls != want {
		t.Errorf("called\n%s\nwant\n%s", calls, want)
	}
	if !strings.HasPrefix(said, "https://page.test/ ") {
		t.Errorf("it said %q, not the page's address", said)
	}
}

// What is missing is named before anything is built.
func TestWhatIsMissingIsNamed(t *testing.T) {
	both := map[string]string{"sam": fakeSAM, "aws": fakeAWS}
	for name, c := range map[string]struct {
		fakes map[string]string
		env   string
		gone  string
		want  string
	}{
		"no SAM CLI":     {map[string]string{"aws": fakeAWS}, "", "", "there is no SAM CLI: pip install aws-sam-cli"},
		"no AWS CLI":     {map[string]string{"sam": fakeSAM}, "", "", "there is no AWS CLI"},
		"no credentials": {both, "NO_CREDENTIALS=255", "", "AWS takes no credentials"},
		"no Node":        {both, "", "node", "there is no Node"},
		"architecture":   {both, "GOARCH=riscv64", "", "GOARCH must be arm64 or amd64, not riscv64"},
	} {
		t.Run(name, func(t *testing.T) {
			root, bin := site(t, c.fakes)
			if c.gone != "" {
				if err := os.Remove(filepath.Join(bin, c.gone)); err != nil {
					t.Fatal(err)
				}
			}
			said, calls, err := deploy(t, root, bin, c.env)
			if err == nil || !strings.Contains(said, c.want) || calls != "" {
				t.Errorf("it ended with %v, said %q and called %q; want %q", err, said, calls, c.want)
			}
		})
	}
}

// A stack that is not the template's has nothing uploaded to it.
func TestAnOutputThatIsMissing(t *testing.T) {
	root, bin := site(t, map[string]string{"sam": fakeSAM, "aws": fakeAWS})
	write(t, filepath.Join(root, "outputs"), strings.Replace(outputs, "PageFiles", "Other", 1))
	said, calls, err := deploy(t, root, bin)
	if err == nil || !strings.Contains(said, "no output PageFiles") || strings.Contains(calls, "s3 cp") {
		t.Errorf("it ended with %v, said %q and called %q", err, said, calls)
	}
}

// Which commit it was, and whether a file lay beside it that was not committed, is no part of a function: or all six would be
// replaced where one has changed.
func TestABuildIsOfItsCodeAlone(t *testing.T) {
	folder := t.TempDir()
	command := exec.CommandContext(t.Context(), "make", "-C", "../..", "--no-print-directory", "build-DisconnectFunction", "ARTIFACTS_DIR="+folder)
	command.Env = append(os.Environ(), "GOARCH="+runtime.GOARCH, "GOFLAGS=-buildvcs=auto")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := buildinfo.ReadFile(filepath.Join(folder, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs") {
			t.Errorf("it tells %s=%s", s.Key, s.Value)
		}
	}
}

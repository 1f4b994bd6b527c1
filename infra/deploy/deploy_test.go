package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine is where make deploy runs: the repository's root with a built page, and the programs on its PATH.
type machine struct {
	root, bin, file string
}

func newMachine(t *testing.T, account *fakeAccount) machine {
	t.Helper()
	s := machine{root: t.TempDir(), bin: t.TempDir()}
	s.file = filepath.Join(s.bin, "account.json")
	for _, name := range []string{"template.yaml", policyFile} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, name, string(text))
	}
	s.write(t, "web/dist/index.html", "page")
	s.write(t, "web/dist/assets/a.js", "1")
	binary := os.Getenv(fakes)
	for _, name := range []string{"deploy", "aws", "sam", "make", "node"} {
		if err := os.Symlink(binary, filepath.Join(s.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	s.set(t, account)
	return s
}

func (s machine) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s machine) set(t *testing.T, account *fakeAccount) {
	t.Helper()
	if err := account.write(s.file); err != nil {
		t.Fatal(err)
	}
}

// outcome is what one make deploy printed and did.
type outcome struct {
	text    string // output and errors
	failed  bool
	account *fakeAccount
	calls   []string // of this deploy
}

// deploy runs the command. The user types input.
func (s machine) deploy(t *testing.T, input string, env ...string) outcome {
	t.Helper()
	before, err := readAccount(s.file)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), filepath.Join(s.bin, "deploy"))
	command.Dir, command.Stdin = s.root, strings.NewReader(input)
	command.Env = append(s.environment(), env...)
	out, failed := command.CombinedOutput()
	after, err := readAccount(s.file)
	if err != nil {
		t.Fatal(err)
	}
	return outcome{string(out), failed != nil, after, after.Calls[len(before.Calls):]}
}

// environment is the environment of every program on the machine.
func (s machine) environment() []string {
	return []string{"PATH=" + s.bin, "SAM=sam", "HOME=" + s.root, "FAKE_ACCOUNT=" + s.file}
}

// called counts the calls that begin with a text.
func (o outcome) called(prefix string) (n int) {
	for _, c := range o.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// says checks that a deploy printed texts.
func (o outcome) says(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(o.text, text) {
			t.Errorf("it does not say %q. It says\n%s", text, o.text)
		}
	}
}

// stack is the stack of a Region after a deploy; it fails the test if there is none.
func (o outcome) stack(t *testing.T, key string) *fakeStack {
	t.Helper()
	s := o.account.Stacks[key]
	if s == nil {
		t.Fatalf("there is no stack %s, of %v. The deploy says\n%s", key, slices.Sorted(maps.Keys(o.account.Stacks)),
			o.text)
	}
	return s
}

func TestDeploy_FreshAccount(t *testing.T) {
	s := newMachine(t, newFakeAccount())
	o := s.deploy(t, "y\n", "GOARCH=amd64", `PARAMETERS=PageScope="openid clock" RunsPerUser=7`)
	if o.failed {
		t.Fatal(o.text)
	}
	o.says(t, "AccessLogs=off: API Gateway has no role in this account and Region that writes logs. "+
		"AccessLogs=with-role makes one.",
		"+ Table                        AWS::DynamoDB::Table", "Protecting the table and the pool",
		"https://page.eu-central-1.test/   (websocket wss://")
	made := o.stack(t, "eu-central-1/carrel")
	for name, want := range map[string]string{"Architecture": "x86_64", "PageScope": "openid clock",
		"RunsPerUser": "7", "DeletionProtection": "true", "AccessLogs": "off"} {
		if made.Parameters[name] != want {
			t.Errorf("%s is %q, want %q", name, made.Parameters[name], want)
		}
	}
	own, err := os.ReadFile("stack-policy.json")
	if err != nil || made.Policy != string(own) {
		t.Errorf("the stack policy is %q, %v", made.Policy, err)
	}
	if got := o.account.Objects["s3://bucket-eu-central-1/config.json"]; got != `{"websocket":"wss://api.eu-central-1.test/v1","issuer":"https://issuer.test/pool","clientId":"client","scope":"openid \"clock\""}` {
		t.Errorf("config.json is %s", got)
	}
	if o.called("sam build --parameter-overrides Architecture=x86_64") != 1 ||
		o.called("aws cloudfront create-invalidation --distribution-id E1 --paths /*") != 1 {
		t.Errorf("it called\n%s", strings.Join(o.calls, "\n"))
	}
}

// A later deploy without parameters changes nothing in the stack, and uploads the page.
func TestDeploy_Again(t *testing.T) {
	s := newMachine(t, newFakeAccount())
	if o := s.deploy(t, "", "YES=1", "PARAMETERS=RunsPerUser=7"); o.failed {
		t.Fatal(o.text)
	}
	o := s.deploy(t, "")
	o.says(t, "The stack carrel needs no changes.", "https://page.eu-central-1.test/")
	if made := o.stack(t, "eu-central-1/carrel"); o.failed || made.Parameters["RunsPerUser"] != "7" || made.Set != nil {
		t.Errorf("RunsPerUser is %s, the change set %v: %s", made.Parameters["RunsPerUser"], made.Set, o.text)
	}
	if o.called("aws cloudformation execute-change-set") != 0 || o.called("aws s3 cp web/dist") != 2 {
		t.Errorf("it called\n%s", strings.Join(o.calls, "\n"))
	}
}

// A first deploy that ended before the stack got its policy is finished by the next one.
func TestDeploy_InterruptedBeforeProtection(t *testing.T) {
	a := newFakeAccount()
	a.Denied = []string{"SetStackPolicy"}
	s := newMachine(t, a)
	o := s.deploy(t, "y\n")
	o.says(t, "the stack carrel is deployed, and has no stack policy yet. Run make deploy again")
	if !o.failed {
		t.Error("a stack without its policy is a success")
	}
	o.account.Denied = nil
	o.account.Stacks["eu-central-1/carrel"].Parameters["DeletionProtection"] = "false"
	s.set(t, o.account)
	o = s.deploy(t, "")
	if made := o.stack(t, "eu-central-1/carrel"); o.failed || made.Policy == "" ||
		made.Parameters["DeletionProtection"] != "true" {
		t.Errorf("DeletionProtection is %s, the policy %q: %s", made.Parameters["DeletionProtection"], made.Policy,
			o.text)
	}
}

func TestDeploy_UserSaysNo(t *testing.T) {
	for _, input := range []string{"n\n", "", "yess\n", "\n"} {
		s := newMachine(t, newFakeAccount())
		o := s.deploy(t, input)
		o.says(t, "Make these changes? [y/N]", "nothing was changed")
		if !o.failed || len(o.account.Stacks) != 0 || o.called("aws cloudformation execute-change-set") != 0 {
			t.Errorf("%q: failed %v, stacks %v", input, o.failed, o.account.Stacks)
		}
	}
}

// Ctrl-C at the question changes nothing and leaves nothing.
func TestDeploy_InterruptedAtTheQuestion(t *testing.T) {
	s := newMachine(t, newFakeAccount())
	command := exec.CommandContext(t.Context(), filepath.Join(s.bin, "deploy"))
	command.Dir, command.Env = s.root, s.environment()
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for buffer := make([]byte, 4096); !strings.Contains(text.String(), "[y/N]"); {
		n, err := out.Read(buffer)
		if err != nil {
			t.Fatalf("%v after %s", err, &text)
		}
		text.Write(buffer[:n])
	}
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil {
		t.Error("it succeeded")
	}
	after, err := readAccount(s.file)
	if err != nil || len(after.Stacks) != 0 {
		t.Errorf("the stacks %v stay, %v", after.Stacks, err)
	}
}

func TestDeploy_AccountWithoutDistributions(t *testing.T) {
	a := newFakeAccount()
	a.CloudFront = false
	s := newMachine(t, a)
	o := s.deploy(t, "y\n")
	o.says(t, "PageDistribution (AWS::CloudFront::Distribution): ", "Your account must be verified",
		"Deploy without CloudFront, with PARAMETERS=Page=off, and serve the page with make page CARREL_STACK=carrel",
		"The next make deploy offers to delete the empty stack")
	if status := o.stack(t, "eu-central-1/carrel").Status; !o.failed || status != "ROLLBACK_COMPLETE" {
		t.Errorf("the stack is %s", status)
	}
	if strings.Contains(o.text, "Resource creation cancelled") {
		t.Errorf("it lists a cancelled resource:\n%s", o.text)
	}
	o = s.deploy(t, "y\ny\n", "PARAMETERS=Page=off")
	o.says(t, "The stack carrel is ROLLBACK_COMPLETE: its first deploy failed", "Delete it and go on? [y/N]",
		"http://localhost:3000/   (websocket", "Serve the page at this address with make page CARREL_STACK=carrel")
	if made := o.stack(t, "eu-central-1/carrel"); o.failed || made.Resources["PageFiles"] != "" ||
		o.called("aws s3 cp web/dist") != 0 {
		t.Errorf("resources %v, calls\n%s", made.Resources, strings.Join(o.calls, "\n"))
	}
}

func TestDeploy_AnotherProgramsStack(t *testing.T) {
	a := newFakeAccount()
	a.Stacks["eu-central-1/carrel"] = &fakeStack{ID: "id", Status: "CREATE_COMPLETE",
		Outputs: map[string]string{"Url": "x"}}
	o := newMachine(t, a).deploy(t, "y\n")
	o.says(t, "the stack carrel in eu-central-1 is another program's: it has no output WebSocket. Choose another name "+
		"with CARREL_STACK")
	if !o.failed || o.called("sam") != 0 {
		t.Errorf("it called\n%s", strings.Join(o.calls, "\n"))
	}
}

// A stack of the same name in a second Region takes none of the first one's names.
func TestDeploy_SecondRegion(t *testing.T) {
	s := newMachine(t, newFakeAccount())
	if o := s.deploy(t, "y\n"); o.failed {
		t.Fatal(o.text)
	}
	o := s.deploy(t, "y\n", "AWS_REGION=us-east-1")
	if o.failed || len(o.account.Names) != 4 {
		t.Errorf("the names in CloudFront are %v: %s", o.account.Names, o.text)
	}
	o.stack(t, "us-east-1/carrel")
	o.stack(t, "eu-central-1/carrel")
	if o.called("aws s3 cp .carrel/packaged.yaml s3://sam-us-east-1/carrel/") != 1 {
		t.Errorf("SAM and the AWS CLI used two Regions:\n%s", strings.Join(o.calls, "\n"))
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The test binary plays every program of a deploy: under the name deploy it is the command itself, under aws, sam, make
// and node it is a fake. All fakes keep their state in one file, the account.
func TestMain(m *testing.M) {
	play := map[string]func(a *fakeAccount, args []string) (string, error){
		"aws": (*fakeAccount).aws, "sam": (*fakeAccount).sam, "make": (*fakeAccount).make, "node": (*fakeAccount).make,
	}
	name := filepath.Base(os.Args[0])
	if name == "deploy" {
		main()
		return
	}
	if play[name] == nil {
		os.Exit(withFakes(m))
	}
	a, err := readAccount(os.Getenv("FAKE_ACCOUNT"))
	out := ""
	if err == nil {
		a.Calls = append(a.Calls, name+" "+strings.Join(os.Args[1:], " "))
		out, err = play[name](a, os.Args[1:])
		if writeErr := a.write(os.Getenv("FAKE_ACCOUNT")); writeErr != nil {
			err = writeErr
		}
	}
	fmt.Print(out)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(255)
	}
}

// fakes is the environment variable that names the binary of the fakes.
const fakes = "DEPLOY_FAKES"

// withFakes runs the tests with a binary of the fakes. It is built without the race detector, whose programs take half
// a second to start: a deploy starts dozens.
func withFakes(m *testing.M) int {
	folder, err := os.MkdirTemp("", "fakes")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }() // the system clears its temporary folder
	binary := filepath.Join(folder, "fakes")
	build := exec.Command("go", "test", "-c", "-vet=off", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the fakes: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(fakes, binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// fakeAccount is an AWS account, and the AWS configuration of the machine that deploys.
type fakeAccount struct {
	Version       string // of the AWS CLI
	Arn           string // of the caller; empty if the machine has no credentials
	ProfileRegion string // what aws configure has
	Regions       []string
	Unreserved    int  // concurrency without a reserve
	CloudFront    bool // whether the account may create distributions
	RoleLag       int  // how often a new log role is not effective yet
	Denied        []string
	Replaces      []string // resources that the next change set replaces

	LogGroups []string              // that no stack has
	LogRoles  map[string]string     // by Region
	Names     map[string]string     // names in CloudFront, and whose they are
	Stacks    map[string]*fakeStack // by Region and name
	Objects   map[string]string     // in S3
	Calls     []string
}

func newFakeAccount() *fakeAccount {
	return &fakeAccount{Version: "2.27.1", Arn: "arn:aws:iam::123456789012:user/me", ProfileRegion: "eu-central-1",
		Regions: []string{"eu-central-1", "us-east-1"}, Unreserved: 1000, CloudFront: true,
		LogRoles: map[string]string{}, Names: map[string]string{}, Stacks: map[string]*fakeStack{},
		Objects: map[string]string{}}
}

func readAccount(file string) (*fakeAccount, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	a := &fakeAccount{}
	return a, json.Unmarshal(text, a)
}

func (a *fakeAccount) write(file string) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// known are the commands and flags of the programs; a flag that takes no value ends with "!". TestFlagsAreReal compares
// them with the AWS CLI's own models.
func known() map[string]string {
	return map[string]string{
		"aws --version":                            "",
		"aws configure get":                        "",
		"aws sts get-caller-identity":              "--output",
		"aws apigateway get-account":               "--output",
		"aws lambda get-account-settings":          "--output",
		"aws logs describe-log-groups":             "--log-group-name-prefix --output",
		"aws cloudformation describe-stacks":       "--stack-name --output",
		"aws cloudformation describe-stack-events": "--stack-name --max-items --output",
		"aws cloudformation get-stack-policy":      "--stack-name --output",
		"aws cloudformation set-stack-policy":      "--stack-name --stack-policy-body",
		"aws cloudformation create-change-set": "--stack-name --change-set-name --change-set-type " +
			"--capabilities --parameters --template-url --use-previous-template!",
		"aws cloudformation describe-change-set":             "--stack-name --change-set-name --output",
		"aws cloudformation delete-change-set":               "--stack-name --change-set-name",
		"aws cloudformation execute-change-set":              "--stack-name --change-set-name",
		"aws cloudformation delete-stack":                    "--stack-name",
		"aws cloudformation wait change-set-create-complete": "--stack-name --change-set-name",
		"aws cloudformation wait stack-create-complete":      "--stack-name",
		"aws cloudformation wait stack-update-complete":      "--stack-name",
		"aws cloudformation wait stack-delete-complete":      "--stack-name",
		"aws s3 cp": "--only-show-errors! --recursive! --cache-control --content-type " +
			"--exclude",
		"aws cloudfront create-invalidation": "--distribution-id --paths",
		"sam build":                          "--parameter-overrides",
		"sam package":                        "--resolve-s3! --s3-prefix --output-template-file",
	}
}

// parse takes a command line apart, and refuses a command or a flag that the program does not have.
func parse(program string, args []string) (command string, flags map[string]string, words []string, err error) {
	allowed, found := "", false
	rest := args
	for n := min(3, len(args)); n > 0 && !found; n-- {
		command = program + " " + strings.Join(args[:n], " ")
		if allowed, found = known()[command]; found {
			rest = args[n:]
		}
	}
	if !found {
		return "", nil, nil, fmt.Errorf("%s: error: argument command: Invalid choice: %q", program, args)
	}
	flags = map[string]string{}
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if !strings.HasPrefix(name, "--") {
			words = append(words, name)
			continue
		}
		switch fields := strings.Fields(allowed); {
		case slices.Contains(fields, name+"!"):
			flags[name] = "true"
		case slices.Contains(fields, name) && len(rest) > 0:
			flags[name], rest = rest[0], rest[1:]
		default:
			return "", nil, nil, fmt.Errorf("%s: error: Unknown options: %s", program, name)
		}
	}
	return command, flags, words, nil
}

// region is the Region that the AWS CLI uses.
func (a *fakeAccount) region() string {
	for _, value := range []string{os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), a.ProfileRegion} {
		if value != "" {
			return value
		}
	}
	return ""
}

// aws plays the AWS CLI.
func (a *fakeAccount) aws(args []string) (string, error) {
	command, flags, words, err := parse("aws", args)
	if err != nil {
		return "", err
	}
	switch command {
	case "aws --version":
		return "aws-cli/" + a.Version + " Python/3.13.2 Linux/6.1 exe/x86_64\n", nil
	case "aws configure get":
		if a.ProfileRegion == "" {
			return "", fmt.Errorf("")
		}
		return a.ProfileRegion + "\n", nil
	}
	operation := operationOf(args)
	switch {
	case a.Arn == "":
		return "", fmt.Errorf("Unable to locate credentials. You can configure credentials by running \"aws " +
			"configure\".")
	case !slices.Contains(a.Regions, a.region()):
		return "", fmt.Errorf("Could not connect to the endpoint URL: \"https://%s.%s.amazonaws.com/\"", args[0],
			a.region())
	case slices.Contains(a.Denied, operation):
		return "", awsFailure("AccessDenied", operation, "User: %s is not authorized to perform: %s:%s because no "+
			"identity-based policy allows it", a.Arn, args[0], operation)
	}
	switch command {
	case "aws sts get-caller-identity":
		return answer(map[string]any{"Account": "123456789012", "Arn": a.Arn, "UserId": "AIDA"})
	case "aws apigateway get-account":
		out := map[string]any{"throttleSettings": map[string]any{"burstLimit": 5000, "rateLimit": 10000}}
		if role := a.LogRoles[a.region()]; role != "" {
			out["cloudwatchRoleArn"] = role
		}
		return answer(out)
	case "aws logs describe-log-groups":
		groups := []any{}
		for _, name := range a.LogGroups {
			if strings.HasPrefix(name, flags["--log-group-name-prefix"]) {
				groups = append(groups, map[string]any{"logGroupName": name})
			}
		}
		return answer(map[string]any{"logGroups": groups})
	case "aws lambda get-account-settings":
		return answer(map[string]any{"AccountLimit": map[string]any{"ConcurrentExecutions": a.Unreserved,
			"UnreservedConcurrentExecutions": a.Unreserved}})
	case "aws s3 cp":
		return "", a.copyObject(words)
	case "aws cloudfront create-invalidation":
		return answer(map[string]any{})
	}
	return a.cloudformation(command, flags)
}

// operationOf is the name of an operation in AWS's errors: DescribeStacks for describe-stacks.
func operationOf(args []string) string {
	name := ""
	for part := range strings.SplitSeq(args[1], "-") {
		name += strings.ToUpper(part[:1]) + part[1:]
	}
	return name
}

func awsFailure(code, operation, format string, args ...any) error {
	return fmt.Errorf("\nAn error occurred (%s) when calling the %s operation: %s", code, operation,
		fmt.Sprintf(format, args...))
}

func answer(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// copyObject keeps a file's content, or the names of a folder's files.
func (a *fakeAccount) copyObject(words []string) error {
	if len(words) != 2 || !strings.HasPrefix(words[1], "s3://") {
		return fmt.Errorf("usage: aws s3 cp <LocalPath> <S3Uri>")
	}
	info, err := os.Stat(words[0])
	if err != nil {
		return fmt.Errorf("The user-provided path %s does not exist.", words[0])
	}
	if info.IsDir() {
		a.Objects[words[1]] = "folder " + words[0]
		return nil
	}
	text, err := os.ReadFile(words[0])
	a.Objects[words[1]] = string(text)
	return err
}

// sam plays the SAM CLI, which reads AWS_DEFAULT_REGION and not AWS_REGION.
func (a *fakeAccount) sam(args []string) (string, error) {
	command, flags, _, err := parse("sam", args)
	if err != nil || command == "sam build" {
		return "", err
	}
	region := os.Getenv("AWS_DEFAULT_REGION")
	if !slices.Contains(a.Regions, region) {
		return "", fmt.Errorf("Error: Unable to upload artifact: no Region %q", region)
	}
	source, err := os.ReadFile("template.yaml")
	if err != nil {
		return "", err
	}
	packaged := strings.Replace(string(source), "makefile}\n    Properties:\n",
		"makefile}\n    Properties:\n      CodeUri: s3://sam-"+region+"/carrel/code\n", 1)
	return "", os.WriteFile(flags["--output-template-file"], []byte(packaged), 0o600)
}

// make plays make and node, of which the command needs nothing but that they exist.
func (a *fakeAccount) make([]string) (string, error) { return "", nil }

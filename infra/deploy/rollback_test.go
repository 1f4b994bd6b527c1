package main

import (
	"strings"
	"testing"
)

func TestDeploy_RollbackComplete(t *testing.T) {
	a := newFakeAccount()
	a.CloudFront = false
	s := newMachine(t, a)
	s.deploy(t, "y\n")
	o := s.deploy(t, "n\n")
	o.says(t, "it holds no data", "nothing was changed: the stack carrel must be deleted before it can be deployed")
	if !o.failed || o.called("sam") != 0 || o.called("aws cloudformation delete-stack") != 0 {
		t.Errorf("it called\n%s", strings.Join(o.calls, "\n"))
	}
}

// YES=1 answers this question as well.
func TestDeploy_RollbackCompleteUnattended(t *testing.T) {
	a := newFakeAccount()
	a.CloudFront = false
	s := newMachine(t, a)
	o := s.deploy(t, "y\n")
	o.account.CloudFront = true
	s.set(t, o.account)
	o = s.deploy(t, "", "YES=1")
	o.says(t, "Delete it and go on? [y/N] yes (YES=1)", "Make these changes? [y/N] yes (YES=1)",
		"https://page.eu-central-1.test/")
	if status := o.stack(t, "eu-central-1/carrel").Status; o.failed || status != "UPDATE_COMPLETE" {
		t.Errorf("the stack is %s: %s", status, o.text)
	}
}

// A stack that cannot be updated is refused before anything is built, with the way out.
func TestDeploy_StackThatCannotBeUpdated(t *testing.T) {
	for status, want := range map[string]string{
		"CREATE_IN_PROGRESS":                  "another deploy is at work. Run make deploy again when it has ended",
		"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "another deploy is at work",
		"DELETE_IN_PROGRESS":                  "another deploy is at work",
		"DELETE_FAILED":                       "--retain-resources NAME",
		"UPDATE_ROLLBACK_FAILED":              "aws cloudformation continue-update-rollback --stack-name carrel",
		"UPDATE_FAILED":                       "aws cloudformation rollback-stack --stack-name carrel",
		"SOMETHING_NEW":                       "is SOMETHING_NEW and cannot be updated: look at it in the console",
	} {
		t.Run(status, func(t *testing.T) {
			a := newFakeAccount()
			st := &fakeStack{ID: "id", Status: status}
			st.event("id", "AWS::CloudFormation::Stack", "UPDATE_IN_PROGRESS", "User Initiated")
			st.event("Table", "AWS::DynamoDB::Table", "UPDATE_FAILED", "a reason")
			a.Stacks["eu-central-1/carrel"] = st
			o := newMachine(t, a).deploy(t, "y\ny\n")
			o.says(t, want, "the stack carrel is "+status)
			if !strings.HasSuffix(status, "_IN_PROGRESS") {
				o.says(t, "Table (AWS::DynamoDB::Table): a reason")
			}
			if !o.failed || o.called("sam") != 0 || o.called("make") != 0 {
				t.Errorf("it called\n%s", strings.Join(o.calls, "\n"))
			}
		})
	}
}

// A stack whose first deploy failed and could not be undone is deleted. If that fails, the remaining resources are
// listed.
func TestDeploy_RollbackFailed(t *testing.T) {
	a := newFakeAccount()
	a.Stacks["eu-central-1/carrel"] = &fakeStack{ID: "id", Status: "ROLLBACK_FAILED"}
	o := newMachine(t, a).deploy(t, "y\n")
	o.says(t, "The stack carrel is ROLLBACK_FAILED: its first deploy failed",
		"the stack carrel was not deleted: remove the resources named below",
		"Table (AWS::DynamoDB::Table): Resource cannot be deleted as it is currently protected against deletion.")
	if !o.failed || o.called("sam") != 0 {
		t.Errorf("it called\n%s", strings.Join(o.calls, "\n"))
	}
}

// A change set that was never executed leaves a stack without anything in it: the next deploy uses it.
func TestDeploy_ReviewInProgress(t *testing.T) {
	a := newFakeAccount()
	a.Stacks["eu-central-1/carrel"] = &fakeStack{ID: "id", Status: "REVIEW_IN_PROGRESS", Resources: map[string]string{}}
	o := newMachine(t, a).deploy(t, "y\n")
	if status := o.stack(t, "eu-central-1/carrel").Status; o.failed || status != "UPDATE_COMPLETE" {
		t.Errorf("the stack is %s: %s", status, o.text)
	}
}

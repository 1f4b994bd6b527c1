package models_test

import (
	"os"
	"testing"

	"carrel/infra/testkit"
)

var kit testkit.Kit

func TestMain(m *testing.M) { os.Exit(kit.Main(m, 4)) }

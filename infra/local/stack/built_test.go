package stack

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"carrel/infra/local/template"
)

// A missing binary, or one for another machine, gives an error that names the function and the remedy.
func TestBinaries_SamBuildOutput(t *testing.T) {
	folder := t.TempDir()
	s := &Stack{config: Config{Built: folder},
		template: &template.Template{Functions: []template.Function{{LogicalID: "F"}}}}
	wantError := func(words ...string) {
		t.Helper()
		_, err := s.binaries(t.Context())
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("error %v, want one with %q", err, word)
			}
		}
	}
	wantError("sam build made of F", "make run BUILT=1")
	file := filepath.Join(folder, "F", "bootstrap")
	write := func(content []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte("#!/bin/sh\n"))
	wantError("not a Lambda binary")
	other := elf.EM_AARCH64
	if runtime.GOARCH == "arm64" {
		other = elf.EM_X86_64
	}
	header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(other), Version: 1, Ehsize: 64, Shentsize: 64,
		Phentsize: 56}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64),
		byte(elf.ELFDATA2LSB), 1
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, header); err != nil {
		t.Fatal(err)
	}
	write(b.Bytes())
	wantError(other.String(), "GOARCH="+runtime.GOARCH)
}

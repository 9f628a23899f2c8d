package vcsim

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"grapevine/fleet"
)

func TestTinyImageIsValid(t *testing.T) {
	im, content := TinyImage()
	if err := im.Validate(); err != nil {
		t.Error(err)
	}
	sum := sha256.Sum256(content)
	if hex.EncodeToString(sum[:]) != im.ID || int64(len(content)) != im.Bytes {
		t.Errorf("%d bytes of digest %x do not match %+v", len(content), sum, im)
	}
	path := filepath.Join(t.TempDir(), "tiny.vmdk")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if sectors, err := sparseSectors(path); err != nil || sectors*512 != im.Files[0].VirtualBytes {
		t.Errorf("the header says %d sectors, %v", sectors, err)
	}
}

func TestHostsOfOneProcessAreApart(t *testing.T) {
	const hosts = 3
	var started [hosts]*Host
	var wg sync.WaitGroup
	for i := range hosts {
		wg.Go(func() {
			h, err := Start(Config{Name: "esxi", Foreign: 1, Resources: fleet.Resources{VCPUs: int64(i + 1), MemoryMiB: 1024, DiskGiB: 10}})
			if err != nil {
				t.Error(err)
				return
			}
			started[i] = h
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	seen := map[string]bool{}
	for i, h := range started {
		if _, err := h.Define("mine"); err != nil {
			t.Error(err)
		}
		files, err := h.Files("")
		if err != nil || !strings.Contains(strings.Join(files, " "), "legacy-0/legacy-0.vmx") {
			t.Errorf("host %d has files %v, %v", i, files, err)
		}
		seen[h.URL()] = true
		seen[h.Password()] = true
		h.Close()
		if _, err := os.Stat(h.datastore().Summary.Url); !os.IsNotExist(err) {
			t.Errorf("Close left the folder: %v", err)
		}
	}
	if len(seen) != 2*hosts {
		t.Errorf("addresses and passwords are shared: %v", seen)
	}
}

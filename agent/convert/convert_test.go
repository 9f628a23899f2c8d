package convert_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/agent/convert"
	"grapevine/fleet"
	"grapevine/internal/diskhead"
	"grapevine/internal/leaveout"
)

// lab is a folder with a raw disk of 3 MiB that is not all zeroes.
type lab struct {
	t       *testing.T
	dir     string
	content []byte
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if _, err := convert.Find(); err != nil {
		leaveout.Test(t, err.Error())
	}
	l := &lab{t: t, dir: t.TempDir(), content: make([]byte, 3<<20)}
	copy(l.content[1<<20:], bytes.Repeat([]byte("grapevine"), 10000))
	l.write("disk.raw", l.content)
	return l
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) write(name string, content []byte) {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), content, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) qemu(args ...string) {
	l.t.Helper()
	cmd := exec.Command("qemu-img", args...)
	cmd.Dir = l.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Fatalf("qemu-img %v: %v: %s", args, err, out)
	}
}

// describe is the manifest's line of a disk file.
func (l *lab) describe(name string) fleet.ImageFile {
	l.t.Helper()
	content, err := os.ReadFile(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	format, virtual, err := diskhead.Read(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		l.t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return fleet.ImageFile{Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)), Format: format, VirtualBytes: virtual}
}

func TestEveryFormatIsConvertedAndTheGuestSeesTheSame(t *testing.T) {
	l := newLab(t)
	for format, args := range map[string][]string{
		"raw":   nil,
		"qcow2": {"convert", "-O", "qcow2", "disk.raw", "disk.qcow2"},
		"vmdk":  {"convert", "-O", "vmdk", "disk.raw", "disk.vmdk"},
		"vhd":   {"convert", "-O", "vpc", "-o", "force_size=on", "disk.raw", "disk.vhd"},
	} {
		if args != nil {
			l.qemu(args...)
		}
		from := l.describe("disk." + format)
		if from.Format != format || from.VirtualBytes != 3<<20 {
			t.Fatalf("%s is described as %+v", format, from)
		}
		for _, to := range []string{"raw", "qcow2", "vmdk"} {
			out := l.path("made")
			made, err := convert.Disk(t.Context(), from, l.path("disk."+format), to, out)
			if err != nil {
				t.Errorf("%s to %s: %v", format, to, err)
				continue
			}
			if want := l.describe("made"); made != want || made.Format != to || made.VirtualBytes != 3<<20 {
				t.Errorf("%s to %s: said %+v, it is %+v", format, to, made, want)
			}
			l.qemu("convert", "-f", to, "-O", "raw", "made", "back")
			if back, err := os.ReadFile(l.path("back")); err != nil || !bytes.Equal(back, l.content) {
				t.Errorf("%s to %s: the guest sees something else, %v", format, to, err)
			}
		}
	}
}

// Who makes an image may not read the host's files through it.
func TestDisksThatNameOtherFilesAreRefused(t *testing.T) {
	l := newLab(t)
	l.write("secret", bytes.Repeat([]byte("secret!!"), 64<<10))
	l.qemu("create", "-f", "qcow2", "-b", "secret", "-F", "raw", "backed.qcow2")
	l.qemu("create", "-f", "qcow2", "-o", "data_file=secret.data", "outside.qcow2", "1M")
	l.qemu("convert", "-O", "vmdk", "disk.raw", "parent.vmdk")
	l.qemu("create", "-f", "vmdk", "-b", "parent.vmdk", "-F", "vmdk", "layer.vmdk")
	l.qemu("create", "-f", "vmdk", "-o", "subformat=monolithicFlat", "described.vmdk", "1M")
	for name, format := range map[string]string{"backed.qcow2": "qcow2", "outside.qcow2": "qcow2", "layer.vmdk": "vmdk", "described.vmdk": "vmdk"} {
		info, err := os.Stat(l.path(name))
		if err != nil {
			t.Fatal(err)
		}
		f := fleet.ImageFile{Role: fleet.RoleDisk, Bytes: info.Size(), Format: format, VirtualBytes: 3 << 20}
		_, err = convert.Disk(t.Context(), f, l.path(name), "raw", l.path("made"))
		if err == nil || !strings.Contains(err.Error(), "file") {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := os.Stat(l.path("made")); err == nil {
			t.Errorf("%s: something was made", name)
		}
	}
}

func TestWhatIsNotTheDiskOfItsManifestIsRefused(t *testing.T) {
	l := newLab(t)
	l.qemu("convert", "-O", "qcow2", "disk.raw", "disk.qcow2")
	good := l.describe("disk.qcow2")
	for want, change := range map[string]func(f *fleet.ImageFile){
		"it is qcow2, the manifest says vmdk": func(f *fleet.ImageFile) { f.Format = "vmdk" },
		"the manifest says 1024":              func(f *fleet.ImageFile) { f.VirtualBytes = 1024 },
	} {
		f := good
		change(&f)
		_, err := convert.Disk(t.Context(), f, l.path("disk.qcow2"), "raw", l.path("made"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := os.Stat(l.path("made")); err == nil {
		t.Error("something was made")
	}
}

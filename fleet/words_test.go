package fleet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"grapevine/fleet"
)

func TestUUIDsReadBackAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := fleet.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		got, err := fleet.ParseUUID(strings.ToUpper(u.String()))
		if err != nil || got != u {
			t.Fatalf("got %v, %v; want %v", got, err, u)
		}
	})
}

func TestBadUUIDsAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "x", "6ba7b810-9dad-11d1-80b4-00c04fd430c", "6ba7b810-9dad-11d1-80b4-00c04fd430c8a",
		"6ba7b810x9dad-11d1-80b4-00c04fd430c8", "gba7b810-9dad-11d1-80b4-00c04fd430c8",
	} {
		if u, err := fleet.ParseUUID(s); !errors.Is(err, fleet.ErrBadUUID) {
			t.Errorf("%q: got %v, %v; want ErrBadUUID", s, u, err)
		}
	}
}

// The vector is RFC 9562's, appendix A.4: www.example.com in the DNS space.
func TestVersion5UUIDIsThatOfTheRFC(t *testing.T) {
	dns, _ := fleet.ParseUUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	if got := fleet.NewUUIDv5(dns, "www.example.com").String(); got != "2ed6657d-e927-568b-95e1-2665a8aea6a2" {
		t.Errorf("got %s", got)
	}
}

func TestKeyedInstanceIDKeepsProjectAndKeyApart(t *testing.T) {
	a, b := fleet.KeyedInstanceID("ab", "c"), fleet.KeyedInstanceID("a", "bc")
	if a == b {
		t.Errorf("projects ab and a share id %s", a)
	}
	if again := fleet.KeyedInstanceID("ab", "c"); again != a {
		t.Errorf("got %s and then %s for one key", a, again)
	}
}

func TestVersionsAreOrderedByEpochThenSeqOfOneHost(t *testing.T) {
	v := func(host byte, epoch, seq uint64) fleet.Version {
		return fleet.Version{Host: fleet.UUID{host}, Epoch: epoch, Seq: seq}
	}
	for _, c := range []struct {
		a, b fleet.Version
		want bool
	}{
		{v(1, 2, 3), v(1, 2, 3), true},
		{v(1, 2, 4), v(1, 2, 3), true},
		{v(1, 3, 0), v(1, 2, 9), true},
		{v(1, 2, 9), v(1, 3, 0), false},
		{v(2, 9, 9), v(1, 1, 1), false},
	} {
		if got := c.a.AtLeast(c.b); got != c.want {
			t.Errorf("%v at least %v: got %v, want %v", c.a, c.b, got, c.want)
		}
	}
	want := v(7, 2, 3)
	if got, err := fleet.ParseVersion(want.String()); err != nil || got != want {
		t.Errorf("read back %v, %v; want %v", got, err, want)
	}
	for _, s := range []string{"", "1:2", "x:1:2", want.String() + ":4", fleet.UUID{1}.String() + ":-1:2"} {
		if _, err := fleet.ParseVersion(s); !errors.Is(err, fleet.ErrBadVersion) {
			t.Errorf("%q: got %v, want ErrBadVersion", s, err)
		}
	}
}

func TestNamesThatBreakTablesAndLogsAreRefused(t *testing.T) {
	for _, name := range []string{"", " a", "a ", "a\nb", "a\x00b", "a\u2028b", "\xff", "a\x1b[31m", strings.Repeat("x", 129)} {
		err := fleet.CheckName("name", name)
		if fleet.CodeOf(err) != fleet.CodeInvalid {
			t.Errorf("%q: got %v, want it refused", name, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\x00\x1b") {
			t.Errorf("%q: the sentence repeats the control character", name)
		}
	}
	for _, name := range []string{"a", "web 1", "Ünïcode-名前", "a<b>&\"'", strings.Repeat("x", 128)} {
		if err := fleet.CheckName("name", name); err != nil {
			t.Errorf("%q: got %v, want it allowed", name, err)
		}
	}
}

func TestLoneDiskHasItsOwnDigestAsID(t *testing.T) {
	disk := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: someImage, Bytes: 1, Format: "raw"}
	if got := fleet.ImageID([]fleet.ImageFile{disk}, ""); got != someImage {
		t.Errorf("got %s, want the disk's own", got)
	}
	kernel := fleet.ImageFile{Role: fleet.RoleKernel, SHA256: someImage, Bytes: 1}
	a := fleet.ImageID([]fleet.ImageFile{kernel, disk}, "quiet")
	if b := fleet.ImageID([]fleet.ImageFile{disk, kernel}, "quiet"); a != b {
		t.Error("the id depends on the order of the files")
	}
	if b := fleet.ImageID([]fleet.ImageFile{kernel, disk}, "verbose"); a == b {
		t.Error("the id does not depend on the command line")
	}
}

func TestImageManifestsAreJudged(t *testing.T) {
	kernel := fleet.ImageFile{Role: fleet.RoleKernel, SHA256: someImage, Bytes: 5}
	initrd := fleet.ImageFile{Role: fleet.RoleInitrd, SHA256: someImage, Bytes: 5}
	disk := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: someImage, Bytes: 5, Format: "qcow2"}
	for _, c := range []struct {
		name    string
		files   []fleet.ImageFile
		cmdline string
		want    string
	}{
		{"a disk", []fleet.ImageFile{disk}, "", ""},
		{"kernel and initrd", []fleet.ImageFile{kernel, initrd}, "quiet", ""},
		{"nothing", nil, "", "neither a disk nor a kernel"},
		{"an initrd alone", []fleet.ImageFile{disk, initrd}, "", "no kernel"},
		{"two disks", []fleet.ImageFile{disk, disk}, "", "two files"},
		{"a command line for a disk", []fleet.ImageFile{disk}, "quiet", "no kernel"},
		{"an unknown format", []fleet.ImageFile{{Role: fleet.RoleDisk, SHA256: someImage, Bytes: 5, Format: "iso"}}, "", "format"},
		{"an empty file", []fleet.ImageFile{{Role: fleet.RoleKernel, SHA256: someImage}}, "", "0 bytes"},
		{"a short digest", []fleet.ImageFile{{Role: fleet.RoleKernel, SHA256: "ab", Bytes: 5}}, "", "64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			im := fleet.Image{Name: "tiny", Files: c.files, Cmdline: c.cmdline, ID: fleet.ImageID(c.files, c.cmdline)}
			err := im.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	im := fleet.Image{Name: "tiny", Files: []fleet.ImageFile{kernel}, ID: someImage}
	if err := im.Validate(); err == nil {
		t.Error("an id that is not that of the content was let through")
	}
}

func TestSizesAreBounded(t *testing.T) {
	for _, c := range []struct {
		r    fleet.Resources
		want string
	}{
		{fleet.Resources{VCPUs: 1, MemoryMiB: 1}, ""},
		{fleet.Resources{VCPUs: -1, MemoryMiB: 1}, "vcpus is -1"},
		{fleet.Resources{VCPUs: 1}, "memory_mib is 0"},
		{fleet.Resources{VCPUs: 1, MemoryMiB: 1, DiskGiB: -5}, "disk_gib is -5"},
		{fleet.Resources{VCPUs: 1, MemoryMiB: 1 << 60}, "memory_mib"},
	} {
		err := c.r.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: got %v, want %q", c.r, err, c.want)
		}
	}
}

func TestOperationIDsNameTheirHost(t *testing.T) {
	host, n, err := fleet.ParseOperationID(fleet.OperationID(fleet.UUID{9}, 42))
	if err != nil || host != (fleet.UUID{9}) || n != 42 {
		t.Errorf("got %v, %d, %v", host, n, err)
	}
	for _, id := range []string{"", "x.1", fleet.UUID{9}.String(), fleet.UUID{9}.String() + ".x"} {
		if _, _, err := fleet.ParseOperationID(id); err == nil {
			t.Errorf("%q was read", id)
		}
	}
}

func TestErrorsMatchByCode(t *testing.T) {
	err := error(&fleet.Error{Code: fleet.CodeBusy, Detail: "instance x is building"})
	if !errors.Is(err, &fleet.Error{Code: fleet.CodeBusy}) || errors.Is(err, &fleet.Error{Code: fleet.CodeNotFound}) {
		t.Error("errors.Is does not go by the code")
	}
	if got := fleet.CodeOf(errors.Join(errors.New("x"), err)); got != fleet.CodeBusy {
		t.Errorf("got code %q, want busy", got)
	}
}

// A row's limit must leave room for the largest labels that are let through.
func TestLabelsFitTheirRow(t *testing.T) {
	names := 4 * (fleet.MaxNameBytes + 6) // name, project, flavor, image
	if most := fleet.MaxLabelBytes + 14*fleet.MaxLabels + names; most > fleet.MaxInstanceRowBytes*3/4 {
		t.Errorf("labels and names may take %d bytes, more than three quarters of a row's %d", most, fleet.MaxInstanceRowBytes)
	}
	labels := map[string]string{}
	for i := range fleet.MaxLabels {
		labels[fmt.Sprint("key", i)] = strings.Repeat("v", fleet.MaxNameBytes)
	}
	if err := fleet.CheckLabels(labels); err != nil {
		t.Errorf("15 labels with values of %d bytes: %v", fleet.MaxNameBytes, err)
	}
	labels["key0"] = strings.Repeat("v", fleet.MaxNameBytes-10)
	labels[strings.Repeat("k", fleet.MaxNameBytes)] = labels["key1"]
	delete(labels, "key1")
	if err := fleet.CheckLabels(labels); fleet.CodeOf(err) != fleet.CodeInvalid {
		t.Errorf("labels past %d bytes: %v, want %s", fleet.MaxLabelBytes, err, fleet.CodeInvalid)
	}
}

// The tags are the API: a renamed field breaks every client.
func TestInstanceJSONHasTheFixedNames(t *testing.T) {
	data, err := json.Marshal(fleet.Instance{})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(`id name project host hypervisor ownership power task fault flavor image vcpus memory_mib
		disk_gib addresses created_at labels generation version observed_at age_ms reachability`) {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if diff := cmp.Diff("", got["id"]); diff != "" {
		t.Errorf("zero id (-want +got):\n%s", diff)
	}
}

package libvirt

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

var update = flag.Bool("update", false, "write the golden files anew")

var testID = fleet.InstanceID{0x0f, 0x4d, 0x23, 0x5e, 0x8f, 0x9c, 0x41, 0xf4, 0x9e, 0x37, 0xfa, 0x3e, 0x96, 0x68, 0x4e, 0x3b}

func testMark(name string) drivers.Mark {
	return drivers.Mark{ID: testID, Name: name, Project: "p", Flavor: "nano", CreatedAt: time.Unix(1700000000, 0).UTC(), Generation: 3}
}

var (
	aDisk = []madeDisk{{0, lair{path: "/pool/disk.qcow2"}}}
	aCard = []wiredCard{{NIC: fleet.NIC{Network: "default", MAC: "02:00:00:00:00:01"}}}
)

func TestDomainXMLIsGolden(t *testing.T) {
	kernel := blueprint{
		name: "web-0f4d235e", flavour: kvmFlavour(), accelerator: TCG, arch: "x86_64",
		spec:   drivers.Spec{Mark: testMark("web <1>"), Resources: fleet.Resources{VCPUs: 2, MemoryMiB: 128}, Image: fleet.Image{Cmdline: "console=ttyS0 a=\"b\""}},
		kernel: "/pool/kernel", initrd: "/pool/initrd", console: "/pool/console.log",
	}
	disk := kernel
	disk.kernel, disk.initrd, disk.accelerator, disk.cards, disk.disks = "", "", KVM, aCard, aDisk
	other := disk
	other.arch, other.accelerator = "aarch64", TCG
	xenKernel, xenDisk := kernel, disk
	xenKernel.flavour, xenKernel.console, xenKernel.disks, xenKernel.cards = xenFlavour(), "", aDisk, aCard
	xenDisk.flavour = xenFlavour()
	all := disk
	all.spec.Firmware, all.iso, all.seed = fleet.UEFI, "/pool/cd.iso", "/pool/seed.iso"
	all.disks = append(all.disks, madeDisk{1, lair{path: "/pool/disk-1.qcow2"}})
	all.cards = append(all.cards, wiredCard{NIC: fleet.NIC{Network: "br0", MAC: "02:00:00:00:00:02", VLAN: 12}, bridge: true})
	allXen := all
	allXen.flavour, allXen.spec.Firmware, allXen.iso = xenFlavour(), "", ""
	allXen.disks = append(slices.Clip(all.disks), madeDisk{2, lair{path: "/pool/disk-2.qcow2"}}, madeDisk{3, lair{path: "/pool/disk-3.qcow2"}})
	blocks, blocksXen := disk, xenKernel
	blocks.disks = []madeDisk{{0, lair{"/dev/vg/disk", true}}}
	blocksXen.disks = append(slices.Clip(blocks.disks), madeDisk{1, lair{"/dev/vg/disk-1", true}})
	for name, b := range map[string]blueprint{
		"blocks-kvm": blocks, "blocks-xen": blocksXen,
		"kernel-tcg": kernel, "disk-kvm": disk, "disk-aarch64": other, "kernel-xen": xenKernel, "disk-xen": xenDisk, "all-kvm": all, "all-xen": allXen,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := domainXML(b)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".xml")
			if *update {
				if err := os.WriteFile(file, []byte(got+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got+"\n"); diff != "" {
				t.Errorf("domain XML changed (-want +got); if that is meant: go test -run Golden -update\n%s", diff)
			}
			seen, err := parseDomain(got)
			if err != nil {
				t.Fatal(err)
			}
			if mark := decodeMark(seen.Metadata.Inner, testID); mark == nil || mark.Name != "web <1>" {
				t.Errorf("the mark read back is %+v", mark)
			}
			if seen.VCPUs() != 2 || seen.Memory.mib() != 128 {
				t.Errorf("read back %d vCPUs and %d MiB", seen.VCPUs(), seen.Memory.mib())
			}
		})
	}
}

func TestMarkSurvivesAnyName(t *testing.T) {
	for _, name := range []string{"plain", "日本語 🍇", "]]></metadata>", "\ufffe\uffff", "\u2028", "a\\u0041", "&amp;&#0;"} {
		text, err := encodeSpacedMark(testMark(name))
		if err != nil {
			t.Fatal(err)
		}
		want := testMark(name)
		if diff := cmp.Diff(&want, decodeMark([]byte("<other>x</other>"+text), testID)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
}

func TestMarkOfAnotherMachineIsNone(t *testing.T) {
	text, err := encodeSpacedMark(testMark("original"))
	if err != nil {
		t.Fatal(err)
	}
	for what, metadata := range map[string]string{
		"a clone's":          text,
		"nothing":            "",
		"other name space":   "<x:instance xmlns:x='urn:other'>{}</x:instance>",
		"unreadable":         "<g:instance xmlns:g='" + markSpace + "'>not JSON</g:instance>",
		"cut off in the XML": text[:len(text)-4],
	} {
		clone := testID
		clone[0] ^= 1
		if mark := decodeMark([]byte(metadata), clone); mark != nil {
			t.Errorf("%s: got %+v, want none", what, mark)
		}
	}
}

func TestDomainNameIsPlainAndUnique(t *testing.T) {
	for name, want := range map[string]string{
		"web":                    "web-0f4d235e",
		"../../etc/passwd":       "etc-passwd-0f4d235e",
		"-rf":                    "rf-0f4d235e",
		"日本語":                    "instance-0f4d235e",
		"a b\"c":                 "a-b-c-0f4d235e",
		strings.Repeat("n", 128): strings.Repeat("n", 40) + "-0f4d235e",
	} {
		if got := domainName(name, testID, 8); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got, want := domainName("web", testID, 32), "web-0f4d235e8f9c41f49e37fa3e96684e3b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPowerOf(t *testing.T) {
	for _, tt := range []struct {
		state  golibvirt.DomainState
		reason int32
		want   fleet.Power
	}{
		{golibvirt.DomainNostate, 0, fleet.PowerUnknown},
		{golibvirt.DomainRunning, 1, fleet.PowerRunning},
		{golibvirt.DomainBlocked, 0, fleet.PowerRunning},
		{golibvirt.DomainShutdown, 0, fleet.PowerRunning},
		{golibvirt.DomainPaused, int32(golibvirt.DomainPausedUser), fleet.PowerPaused},
		{golibvirt.DomainPaused, int32(golibvirt.DomainPausedIoerror), fleet.PowerPaused},
		{golibvirt.DomainPaused, int32(golibvirt.DomainPausedStartingUp), fleet.PowerRunning},
		{golibvirt.DomainPaused, int32(golibvirt.DomainPausedCrashed), fleet.PowerCrashed},
		{golibvirt.DomainPmsuspended, 0, fleet.PowerSuspended},
		{golibvirt.DomainShutoff, int32(golibvirt.DomainShutoffShutdown), fleet.PowerStopped},
		{golibvirt.DomainShutoff, int32(golibvirt.DomainShutoffFailed), fleet.PowerStopped},
		{golibvirt.DomainShutoff, int32(golibvirt.DomainShutoffCrashed), fleet.PowerCrashed},
		{golibvirt.DomainCrashed, 0, fleet.PowerCrashed},
		{golibvirt.DomainState(99), 0, fleet.PowerUnknown},
	} {
		if got := powerOf(int32(tt.state), tt.reason); got != tt.want {
			t.Errorf("state %d, reason %d: got %s, want %s", tt.state, tt.reason, got, tt.want)
		}
	}
}

func TestOnlyStartsCutShortByLibvirtAreTriedAgain(t *testing.T) {
	const internal = uint32(golibvirt.ErrInternalError)
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{golibvirt.Error{Code: internal, Message: "internal error: process exited while connecting to monitor"}, true},
		{golibvirt.Error{Code: internal, Message: "internal error: qemu unexpectedly closed the monitor: qemu: terminating on signal 15 from pid 25 (libvirtd)"}, true},
		{golibvirt.Error{Code: internal, Message: "internal error: process exited while connecting to monitor: qemu: cannot set up guest memory"}, false},
		{golibvirt.Error{Code: uint32(golibvirt.ErrOperationFailed), Message: "operation failed: domain is no longer running"}, true},
		{golibvirt.Error{Code: uint32(golibvirt.ErrOperationInvalid), Message: "connecting to monitor"}, false},
		{drivers.ErrUnavailable, false},
	} {
		if got := slain(tt.err); got != tt.want {
			t.Errorf("%v: got %v", tt.err, got)
		}
	}
}

func TestSplitURI(t *testing.T) {
	for uri, want := range map[string][2]string{
		"qemu:///system":                         {"qemu:///system", ""},
		"test:///default":                        {"test:///default", ""},
		"qemu+unix:///system?socket=/a/b":        {"qemu:///system", "/a/b"},
		"qemu:///system?socket=/a&no_verify=1":   {"qemu:///system?no_verify=1", "/a"},
		"qemu+ssh://host/system":                 {},
		"qemu+tcp:///system":                     {},
		"/run/libvirt/libvirt-sock":              {},
		"qemu://elsewhere/system":                {},
		"qemu+unix:///embed?root=/r&socket=/s/t": {"qemu:///embed?root=%2Fr", "/s/t"},
	} {
		plain, socket, err := splitURI(uri)
		if got := [2]string{plain, socket}; got != want || (err != nil) != (want[0] == "") {
			t.Errorf("%s: got %q, %v; want %q", uri, got, err, want)
		}
	}
}

func TestNewRefusesUnknownAccelerator(t *testing.T) {
	if _, err := New(Config{Accelerator: "warp"}); err == nil || !strings.Contains(err.Error(), "auto, kvm, tcg") {
		t.Errorf("got %v", err)
	}
}

func TestCapabilitiesOfRealHosts(t *testing.T) {
	for file, want := range map[string]struct{ kvm, needs bool }{
		"capabilities-kvm-without-svm.xml": {true, true},
		"capabilities-no-kvm.xml":          {false, true},
		"capabilities-aarch64.xml":         {true, false},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		caps, err := parseCapabilities(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if caps.Host.UUID == "" || caps.offers("kvm") != want.kvm || !caps.offers("qemu") || caps.needsExtension() != want.needs {
			t.Errorf("%s: uuid %q, kvm %v, needs %v", file, caps.Host.UUID, caps.offers("kvm"), caps.needsExtension())
		}
	}
}

func TestGuestsOfAXenHost(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "capabilities-xen.xml"))
	if err != nil {
		t.Fatal(err)
	}
	caps, err := parseCapabilities(string(text))
	if err != nil {
		t.Fatal(err)
	}
	f := flavourOf("xen")
	g, err := f.guests(t.Context(), nil, caps)
	if err != nil || f.advise(nil, caps, g).Severity != drivers.SeverityOK {
		t.Errorf("got %+v, %v; want nothing to complain of", g, err)
	}
	if diff := cmp.Diff([]string{"xen-pv", "xen-pvh", "xen-hvm"}, g.traits); diff != "" {
		t.Errorf("traits (-want +got):\n%s", diff)
	}
	// The same host, with virtualization switched off in its firmware.
	caps.Guests = slices.DeleteFunc(caps.Guests, func(g guestType) bool { return g.OS != "xen" })
	if g, err = f.guests(t.Context(), nil, caps); err != nil || !slices.Equal(g.traits, []string{"xen-pv"}) {
		t.Errorf("without HVM: got %+v, %v", g, err)
	}
	if found := f.advise(nil, caps, g); found.Severity != drivers.SeverityWarning || found.Fix == "" {
		t.Errorf("without HVM: got %+v, want a warning and what to do", found)
	}
	if got := f.version("Xen", 4017000); got != "Xen 4.17" {
		t.Errorf("version is %q", got)
	}
}

func TestSystemUUIDIsReadWhereThereIsOne(t *testing.T) {
	const id = "4c4c4544-0043-4810-8056-b4c04f4d3332"
	for text, want := range map[string]string{
		"<sysinfo type='smbios'><bios><entry name='uuid'>x</entry></bios><system><entry name='uuid'>" + id + "</entry></system></sysinfo>": id,
		"<sysinfo type='smbios'><system><entry name='uuid'>Not Settable</entry></system></sysinfo>":                                        "",
		"<sysinfo type='smbios'><system><entry name='uuid'>00000000-0000-0000-0000-000000000000</entry></system></sysinfo>":                "",
		"<sysinfo type='smbios'/>": "",
		"":                         "",
	} {
		if got := parseSysinfo(text); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestExtensionIsSeenInExpandedProcessor(t *testing.T) {
	for cpu, want := range map[string]bool{
		`<cpu><model>EPYC</model><feature policy="require" name="sse"/><feature policy="require" name="svm"/></cpu>`: true,
		`<cpu><model>Skylake-Client</model><feature policy="require" name="vmx"/></cpu>`:                             true,
		`<cpu><model>kvm64</model><feature policy="require" name="sse"/></cpu>`:                                      false,
		`<cpu><model>EPYC</model><feature policy="disable" name="svm"/></cpu>`:                                       false,
		`nonsense`: false,
	} {
		if got := hasExtension(cpu); got != want {
			t.Errorf("%s: got %v", cpu, got)
		}
	}
}

func TestProcessorsTraitsAreWhatProgramsAreBuiltFor(t *testing.T) {
	for cpu, want := range map[string][]string{
		`<cpu><model>EPYC</model><feature policy="require" name="avx2"/><feature name="aes"/><feature name="sse"/></cpu>`: {"cpu-aes", "cpu-avx2"},
		`<cpu><model>EPYC</model><feature policy="disable" name="avx512f"/></cpu>`:                                        nil,
		`nonsense`: nil,
	} {
		if got := cpuTraits(cpu); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", cpu, got, want)
		}
	}
}

func TestProcessorsAndCellsAreThoseOfTheCapabilities(t *testing.T) {
	const text = `<capabilities><host><cpu><arch>x86_64</arch><model>EPYC-Milan</model><vendor>AMD</vendor>
		<topology sockets='1' dies='2' cores='8' threads='2'/><feature name='svm'/><feature name='aes'/></cpu>
		<topology><cells num='2'><cell id='0'><memory unit='KiB'>33554432</memory><cpus num='32'/></cell>
		<cell id='1'><memory unit='KiB'>16777216</memory><cpus num='32'/></cell></cells></topology></host></capabilities>`
	caps, err := parseCapabilities(text)
	if err != nil {
		t.Fatal(err)
	}
	want := fleet.CPU{Model: "AMD EPYC-Milan", Flags: []string{"aes", "svm"}, Sockets: 2, Cores: 16, Threads: 2}
	if diff := cmp.Diff(want, caps.processors()); diff != "" {
		t.Errorf("processors (-want +got):\n%s", diff)
	}
	cells := []fleet.NUMACell{{ID: 0, CPUs: 32, MemoryMiB: 32768}, {ID: 1, CPUs: 32, MemoryMiB: 16384}}
	if diff := cmp.Diff(cells, caps.cells()); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}

func TestDevicesWorthNamingAreGraphicsAndDivisibleNetworkCards(t *testing.T) {
	const pci = `<device><name>d</name><capability type='pci'><class>%s</class><domain>0</domain><bus>65</bus><slot>0</slot><function>1</function>
		<product id='0x1572'>X710</product><vendor id='0x8086'>Intel</vendor>%s</capability></device>`
	const divisible = `<capability type='virt_functions' maxCount='64'/>`
	nic := fleet.HostDevice{Kind: "nic", Name: "Intel X710", Address: "0000:41:00.1", VirtualFunctions: 64}
	gpu := fleet.HostDevice{Kind: "gpu", Name: "Intel X710", Address: "0000:41:00.1"}
	for what, tt := range map[string]struct {
		text string
		want fleet.HostDevice
		ok   bool
	}{
		"a network card that can be divided": {fmt.Sprintf(pci, "0x020000", divisible), nic, true},
		"one that cannot":                    {fmt.Sprintf(pci, "0x020000", ""), fleet.HostDevice{}, false},
		"a graphics card":                    {fmt.Sprintf(pci, "0x030000", ""), gpu, true},
		"a disk controller":                  {fmt.Sprintf(pci, "0x010802", ""), fleet.HostDevice{}, false},
		"no PCI device":                      {"<device><name>computer</name><capability type='system'/></device>", fleet.HostDevice{}, false},
	} {
		got, ok, err := parseDevice(tt.text)
		if err != nil || ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: got %+v, %v, %v; want %+v, %v", what, got, ok, err, tt.want, tt.ok)
		}
	}
}

func TestHardwareIsStable(t *testing.T) {
	dir := t.TempDir()
	smbios, machineID := filepath.Join(dir, "uuid"), filepath.Join(dir, "machine-id")
	if got := hardware("u", smbios, machineID); got != "u" {
		t.Errorf("neither is there: got %q", got)
	}
	write(t, machineID, "0123\n")
	one, two := hardware("u", smbios, machineID), hardware("another at the next start", smbios, machineID)
	if one != two || !strings.HasPrefix(one, "machine-id:") || strings.Contains(one, "0123") {
		t.Errorf("without SMBIOS: got %q and %q", one, two)
	}
	write(t, smbios, "secret")
	if got := hardware("u", smbios, machineID); got != "u" {
		t.Errorf("with SMBIOS: got %q", got)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDiagnoseSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(l, &syscall.SockaddrUnix{Name: stale}); err != nil {
		t.Fatal(err)
	}
	syscall.Close(l)
	for socket, want := range map[string]string{
		filepath.Join(dir, "absent"): "libvirt_socket_absent",
		stale:                        "libvirt_not_running",
	} {
		d, err := New(Config{Socket: socket})
		if err != nil {
			t.Fatal(err)
		}
		found := d.Diagnose(t.Context())
		if len(found) != 1 || found[0].Code != want || found[0].Severity != drivers.SeverityError || found[0].Fix == "" || found[0].Subject != socket {
			t.Errorf("got %+v, want one %s", found, want)
		}
		if _, err := d.List(t.Context()); !errors.Is(err, drivers.ErrUnavailable) {
			t.Errorf("list: got %v, want ErrUnavailable", err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The drive of a machine that somebody else made is on another bus than ours.
func TestCDIsTakenOutOfTheDriveItIsIn(t *testing.T) {
	seen, err := parseDomain(`<domain><devices><disk type="file" device="cdrom"><source file="/pool/cd.iso"/><target dev="hdc" bus="ide"/></disk></devices></domain>`)
	if err != nil {
		t.Fatal(err)
	}
	empty := driveXML("", seen.Disks[0].place())
	text, err := empty.Marshal()
	if err != nil || !strings.Contains(text, `dev="hdc" bus="ide"`) || strings.Contains(text, "cd.iso") {
		t.Errorf("got %s, %v", text, err)
	}
}

// What a disk is called must not change when a CD drive comes.
func TestDisksOfXensPCsLeaveTheDriveItsPlace(t *testing.T) {
	disk := func(device, dev string) string {
		return `<disk type="file" device="` + device + `"><target dev="` + dev + `"/></disk>`
	}
	domain := func(kind, os string, disks ...string) string {
		return `<domain type="` + kind + `"><os><type>` + os + `</type></os><devices>` + strings.Join(disks, "") + `</devices></domain>`
	}
	for name, c := range map[string]struct {
		text string
		want []string
		next int // where the fifth disk goes
	}{
		"a PC of Xen's": {domain("xen", "hvm", disk("disk", "hda"), disk("disk", "xvdb"), disk("disk", "xvdc"), disk("disk", "xvde"), disk("cdrom", "hdd")), []string{"disk-0", "disk-1", "disk-2", "disk-3", "iso-0"}, 5},
		"a PC that is rescued": {
			domain("xen", "hvm", `<disk type="file" device="disk"><source file="/pool/rescue-1.qcow2"/><target dev="hda"/></disk>`, disk("disk", "xvdy"), disk("disk", "xvdb")),
			[]string{"", "disk-0", "disk-1"},
			5,
		},
		"somebody else's PC":   {domain("xen", "hvm", disk("disk", "hda"), disk("disk", "xvdd"), disk("disk", "xvde"), disk("cdrom", "hdc")), []string{"disk-0", "disk-3", "disk-4", "iso-1"}, 4},
		"a PV guest":           {domain("xen", "linux", disk("disk", "xvda"), disk("disk", "xvdd"), disk("disk", "xvde")), []string{"disk-0", "disk-3", "disk-4"}, 4},
		"a machine of KVM's":   {domain("kvm", "hvm", disk("disk", "vda"), disk("disk", "vdd"), disk("disk", "vde"), disk("cdrom", "sda")), []string{"disk-0", "disk-3", "disk-4", "iso-0"}, 4},
		"what is no disk here": {domain("xen", "linux", disk("floppy", "fda"), disk("disk", ""), disk("lun", "sda")), []string{"", "", ""}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			seen, err := parseDomain(c.text)
			if err != nil {
				t.Fatal(err)
			}
			for i := range seen.Disks {
				if got, _ := seen.nameOf(&seen.Disks[i]); got != c.want[i] {
					t.Errorf("%s is called %q, want %q", seen.Disks[i].Target.Dev, got, c.want[i])
				}
			}
			if got := seen.diskPlace(4); got != c.next {
				t.Errorf("the fifth disk goes to place %d, want %d", got, c.next)
			}
		})
	}
}

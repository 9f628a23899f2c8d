package xenlab_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/test/xenlab"
)

// patience bounds what a guest of an emulated host may take for one step.
const patience = 5 * time.Minute

// A PV guest is defined, boots into its user land, is ended and undefined, and
// libvirt's events tell each step.
func TestGuestLivesOnTheXenHost(t *testing.T) {
	host := xenlab.Start(t)
	l := connect(t, host)
	events, err := l.LifecycleEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	guest, err := l.DomainDefineXML(guestXML("tiny"))
	if err != nil {
		t.Fatal(err)
	}
	await(t, events, guest, golibvirt.DomainEventDefined)

	if err := l.DomainCreate(guest); err != nil {
		t.Fatal(err)
	}
	await(t, events, guest, golibvirt.DomainEventStarted)
	if state, _, err := l.DomainGetState(guest, 0); err != nil || golibvirt.DomainState(state) != golibvirt.DomainRunning {
		t.Errorf("the guest is in state %d, %v; want it running", state, err)
	}
	said := console(t, host, "tiny", "tiny-guest: up")
	if id := "id 5eed0000-0000-4000-8000-000000000001"; !strings.Contains(said, id) {
		t.Errorf("the guest says %q, want its %s in it", said, id)
	}

	if err := l.DomainDestroy(guest); err != nil {
		t.Fatal(err)
	}
	if why := await(t, events, guest, golibvirt.DomainEventStopped); golibvirt.DomainEventStoppedDetailType(why) != golibvirt.DomainEventStoppedDestroyed {
		t.Errorf("it stopped because of %d, want %d, destroyed", why, golibvirt.DomainEventStoppedDestroyed)
	}
	if err := l.DomainUndefine(guest); err != nil {
		t.Fatal(err)
	}
	await(t, events, guest, golibvirt.DomainEventUndefined)
	if left := names(t, l); len(left) != 1 {
		t.Errorf("%v are left, want Domain-0 alone", left)
	}
}

// The guest that libvirt asks to shut down does so of its own accord.
func TestGuestHearsTheWishToShutDown(t *testing.T) {
	host := xenlab.Start(t)
	l := connect(t, host)
	events, err := l.LifecycleEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	guest, err := l.DomainCreateXML(guestXML("obedient"), 0)
	if err != nil {
		t.Fatal(err)
	}
	console(t, host, "obedient", "tiny-guest: up")
	if err := l.DomainShutdown(guest); err != nil {
		t.Fatal(err)
	}
	if why := await(t, events, guest, golibvirt.DomainEventStopped); golibvirt.DomainEventStoppedDetailType(why) != golibvirt.DomainEventStoppedShutdown {
		t.Errorf("it stopped because of %d, want %d, shut down", why, golibvirt.DomainEventStoppedShutdown)
	}
	console(t, host, "obedient", "tiny-guest: power button")
}

// What the host is: libxl behind libvirt, with dom0 as its only domain, and
// memory that the hypervisor would still give.
func TestHostIsXenWithADom0(t *testing.T) {
	host := xenlab.Start(t)
	l := connect(t, host)
	if kind, err := l.ConnectGetType(); err != nil || kind != "Xen" {
		t.Errorf("the driver is %q, %v; want Xen", kind, err)
	}
	dom0, err := l.DomainLookupByID(0)
	if err != nil {
		t.Fatal(err)
	}
	if dom0.Name != "Domain-0" || dom0.UUID != (golibvirt.UUID{}) {
		t.Errorf("domain 0 is %q with UUID %x, want Domain-0 with none", dom0.Name, dom0.UUID)
	}
	if got := names(t, l); len(got) != 1 || got[0] != "Domain-0" {
		t.Errorf("the domains are %v, want Domain-0 alone", got)
	}
	free, err := l.NodeGetFreeMemory()
	if err != nil {
		t.Fatal(err)
	}
	if free < 256<<20 || free > 1<<30 {
		t.Errorf("%d MiB are free, want room for some guests beside a dom0 of 1 GiB", free>>20)
	}
	if units, err := host.Shell(t.Context(), "systemctl is-system-running"); err != nil || units != "running\n" {
		t.Errorf("systemd is %q, %v; want all units running", units, err)
	}
}

func connect(t *testing.T, host *xenlab.Host) *golibvirt.Libvirt {
	t.Helper()
	l := golibvirt.NewWithDialer(host)
	if err := l.ConnectToURI("xen:///system"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Disconnect(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func names(t *testing.T, l *golibvirt.Libvirt) (all []string) {
	t.Helper()
	domains, _, err := l.ConnectListAllDomains(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range domains {
		all = append(all, d.Name)
	}
	return all
}

// await waits for an event about the guest and returns its detail.
func await(t *testing.T, events <-chan golibvirt.DomainEventLifecycleMsg, guest golibvirt.Domain, want golibvirt.DomainEventType) int32 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatalf("the connection ended before event %d", want)
			}
			if e.Dom.UUID == guest.UUID && golibvirt.DomainEventType(e.Event) == want {
				return e.Detail
			}
		case <-ctx.Done():
			t.Fatalf("no event %d in %s", want, patience)
		}
	}
}

// console waits until the guest has said something and returns its line.
func console(t *testing.T, host *xenlab.Host, guest, words string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	log := "/var/log/xen/console/guest-" + guest + ".log"
	line, err := host.Shell(ctx, fmt.Sprintf("until grep -m 1 '%s' %s 2>/dev/null; do sleep 0.2; done", words, log))
	if err != nil {
		t.Fatalf("wait for %q: %v", words, err)
	}
	return strings.TrimSpace(line)
}

func guestXML(name string) string {
	return fmt.Sprintf(`<domain type="xen">
  <name>%s</name>
  <uuid>5eed0000-0000-4000-8000-000000000001</uuid>
  <memory unit="MiB">96</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch="x86_64" machine="xenpv">linux</type>
    <kernel>/var/lib/libvirt/images/tiny-guest/vmlinuz</kernel>
    <initrd>/var/lib/libvirt/images/tiny-guest/initrd</initrd>
    <cmdline>console=hvc0 quiet</cmdline>
  </os>
  <devices><console type="pty"><target type="xen"/></console></devices>
</domain>`, name)
}

package libvirt

import (
	"context"
	"fmt"
	"io"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

var _ drivers.Consoler = (*Driver)(nil)

// OpenConsole implements drivers.Consoler.
func (d *Driver) OpenConsole(ctx context.Context, id fleet.InstanceID, kind fleet.ConsoleKind, force bool) (io.ReadWriteCloser, error) {
	console, err := d.openConsole(ctx, id, kind, force)
	if err != nil {
		return nil, fmt.Errorf("open %s console of machine %s: %w", kind, id, err)
	}
	return console, nil
}

func (d *Driver) openConsole(ctx context.Context, id fleet.InstanceID, kind fleet.ConsoleKind, force bool) (io.ReadWriteCloser, error) {
	m, err := d.inspect(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case m.Mark == nil:
		return nil, drivers.ErrForeign
	case !m.Power.Awake():
		return nil, drivers.ErrNotRunning
	}
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	if kind == fleet.VNCConsole {
		screen, err := d.flavour.screen(ctx, d, dom)
		return screen, consoleError(err)
	}
	console, err := d.session.OpenConsole(ctx, dom, force)
	if d.flavour.hypervisor == fleet.Xen && session.IsCode(err, golibvirt.ErrInternalError) {
		return nil, fmt.Errorf("%w: of Xen's guests, those that boot a kernel have a serial console to sit at: %w", drivers.ErrUnsupported, err)
	}
	return console, consoleError(err)
}

// qemuScreen lets libvirt hand out a connection to a domain's screen.
func qemuScreen(ctx context.Context, d *Driver, dom golibvirt.Domain) (io.ReadWriteCloser, error) {
	screen, err := d.session.OpenGraphics(ctx, dom)
	if session.IsCode(err, golibvirt.ErrInternalError) {
		err = drivers.Unfit("it has no screen: %w", err)
	}
	return screen, err
}

// consoleError says in the contract's words why a console does not open.
func consoleError(err error) error {
	switch {
	case session.IsCode(err, golibvirt.ErrOperationInvalid):
		return fmt.Errorf("%w: %w", drivers.ErrNotRunning, err)
	case session.IsCode(err, golibvirt.ErrOperationFailed):
		return fmt.Errorf("%w: %w", drivers.ErrConsoleHeld, err)
	default:
		return err
	}
}

// addScreen gives a machine a screen, which listens nowhere: libvirt hands out
// its connections. The tablet makes a viewer's pointer and the guest's one.
func addScreen(devices *libvirtxml.DomainDeviceList, arch string) {
	card := "virtio"
	if arch == "x86_64" {
		card = "vga" // what firmware, boot loaders and installers can draw on
		devices.Inputs = append(devices.Inputs, libvirtxml.DomainInput{Type: "tablet", Bus: "usb"})
	}
	devices.Graphics = []libvirtxml.DomainGraphic{{VNC: &libvirtxml.DomainGraphicVNC{Listeners: []libvirtxml.DomainGraphicListener{{}}}}}
	devices.Videos = []libvirtxml.DomainVideo{{Model: libvirtxml.DomainVideoModel{Type: card}}}
}

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/term"

	"grapevine/test/built"
)

// person sits at a terminal in which the program runs.
type person struct {
	w             *world
	cmd           *exec.Cmd
	keyboard, tty *os.File
	before        *term.State

	mu    sync.Mutex
	shown strings.Builder // guarded by mu
}

// sits runs a command of the node in a terminal.
func (n *node) sits(args ...string) *person {
	n.w.t.Helper()
	p := &person{w: n.w}
	p.keyboard, p.tty = built.PTY(n.w.t)
	var err error
	if p.before, err = term.GetState(int(p.tty.Fd())); err != nil {
		n.w.t.Fatal(err)
	}
	p.cmd = exec.Command(binary, args...)
	p.cmd.Env = append(os.Environ(), n.environment()...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.tty, p.tty, p.tty
	if err := p.cmd.Start(); err != nil {
		n.w.t.Fatal(err)
	}
	n.w.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		chunk := make([]byte, 4096)
		for {
			got, err := p.keyboard.Read(chunk)
			if err != nil {
				return // the test is over and has closed it
			}
			p.mu.Lock()
			p.shown.Write(chunk[:got])
			p.mu.Unlock()
		}
	}()
	return p
}

func (p *person) sees(text string) {
	p.w.t.Helper()
	p.w.until("the terminal shows "+text, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !strings.Contains(p.shown.String(), text) {
			return fmt.Errorf("it shows %q", p.shown.String())
		}
		return nil
	})
}

func (p *person) types(keys string) {
	p.w.t.Helper()
	if _, err := io.WriteString(p.keyboard, keys); err != nil {
		p.w.t.Fatal(err)
	}
}

// ends waits for the command's end and looks at the terminal.
func (p *person) ends(code int) {
	p.w.t.Helper()
	err := p.cmd.Wait()
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.w.t.Errorf("the command ended with %d (%v), want %d", got, err, code)
	}
	after, err := term.GetState(int(p.tty.Fd()))
	if err != nil {
		p.w.t.Fatal(err)
	}
	if !reflect.DeepEqual(after, p.before) {
		p.w.t.Error("the terminal is not as it was")
	}
}

// Somebody at a terminal logs in to a real guest through a registry, by a ticket
// to the guest's host.
func TestConsoleOfARealGuest(t *testing.T) {
	real := newLibvirtd(t)
	w := newWorld(t)
	host := w.newNode("agent", "kvm-1", fmt.Sprintf("driver = \"libvirt\"\nlibvirt_socket = %q\nlibvirt_pool_path = %q\naccelerator = \"tcg\"\n",
		real.socket, filepath.Join(real.dir, "pool")))
	host.start()
	registry := w.registry("registry-1")
	w.complete([]*node{host, registry}, 1)
	guest := real.guest()
	registry.do("image", "import", "--name", "debian", "--host", "kvm-1", "--cmdline", "console=ttyS0 quiet no_timer_check",
		"--kernel", filepath.Join(guest, "vmlinuz"), "--initrd", filepath.Join(guest, "initrd"))
	row := registry.create("--name", "web", "--flavor", "nano", "--image", "debian", "--key", "console-1")
	w.until("the guest is up", func() error { return logged(registry, row.ID, "tiny-guest: up", 1) })

	at := registry.sits("instance", "console", "web")
	at.sees("Ctrl-] ends it")
	at.types("hello\r")
	at.sees("tiny-guest: heard hello")
	if _, stderr, code := host.cli("instance", "console", "web"); code != 1 || !strings.Contains(stderr, "is taken") {
		t.Errorf("a second console: exit code %d, %q; want it refused", code, stderr)
	}
	at.types("\x1d")
	at.sees("left the console of web")
	at.ends(0)

	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		at = registry.sits("instance", "console", "web", "--escape", "none")
		at.sees("connected to web")
		at.types("after " + signal.String() + "\r")
		at.sees("heard after " + signal.String())
		if err := at.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		at.ends(0)
	}

	first := host.sits("instance", "console", "web") // at the agent itself
	first.sees("connected to web")
	second := registry.sits("instance", "console", "web", "--force")
	first.sees("has taken the console over")
	first.ends(1)
	second.types("mine\r")
	second.sees("heard mine")
	if err := logged(registry, row.ID, "heard mine", 1); err != nil {
		t.Errorf("what the console showed is not in the log: %v", err)
	}

	screen := registry.vnc("web")
	if hello, err := bufio.NewReader(screen).ReadString('\n'); err != nil || !strings.HasPrefix(hello, "RFB 003.") {
		t.Errorf("the screen says %q, %v; want its version of RFB", hello, err)
	}

	registry.do("instance", "stop", "web", "--force", "--wait", "80s")
	second.sees("the machine has stopped")
	second.ends(0)
	if _, err := io.Copy(io.Discard, screen); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the screen ended with %v", err)
	}
	if _, stderr, code := registry.cli("instance", "console", "web"); code != 1 || !strings.Contains(stderr, "only one that runs has a console") {
		t.Errorf("a console of a stopped machine: exit code %d, %q", code, stderr)
	}
	log, err := os.ReadFile(host.logFile())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), "token=") || !strings.Contains(string(log), "console opened") {
		t.Error("the agent's log has tokens, or does not have the consoles")
	}
}

// vnc connects a viewer to the screen.
func (n *node) vnc(name string) net.Conn {
	n.w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "instance", "console", "--vnc", name)
	cmd.Env = append(os.Environ(), n.environment()...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.w.t.Fatal(err)
	}
	n.w.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		n.w.t.Fatalf("it prints no address: %v", err)
	}
	viewer, err := net.Dial("tcp", strings.TrimSpace(addr))
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.w.t.Cleanup(func() { _ = viewer.Close() })
	return viewer
}

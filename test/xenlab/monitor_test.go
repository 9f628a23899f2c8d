package xenlab

import "testing"

// QEMU lists forwarded ports for people; connections that are open stand
// between them.
func TestPortsAreReadFromQEMUsTable(t *testing.T) {
	ports, err := parsePorts("Hub -1 (dom0):\r\n" +
		"  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n" +
		"  TCP[ESTABLISHED]   23       127.0.0.1 40000       10.0.2.15    22     0     0\r\n" +
		"  TCP[HOST_FORWARD]  11       127.0.0.1 42985       10.0.2.15    22     0     0\r\n" +
		"  TCP[HOST_FORWARD]   9       127.0.0.1 37869       10.0.2.15 16509     0     0\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(ports) != 2 || ports[22] != 42985 || ports[16509] != 37869 {
		t.Errorf("the ports are %v, want 22 at 42985 and 16509 at 37869", ports)
	}
	if got, err := parsePorts("Hub -1 (dom0):\r\n"); err == nil {
		t.Errorf("a table without ports gives %v, want an error", got)
	}
}

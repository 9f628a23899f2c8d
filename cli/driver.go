package cli

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/esxi"
	"grapevine/drivers/libvirt"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// driverConfig is the part of agent.toml that says what hypervisor the host
// runs and how it is reached.
type driverConfig struct {
	Driver string `toml:"driver" help:"what drives the hypervisor: libvirt, esxi or simulated"`

	LibvirtURI      string `toml:"libvirt_uri" help:"libvirt's connection URI; qemu:///system when empty, xen:///system for Xen"`
	LibvirtSocket   string `toml:"libvirt_socket" help:"libvirt's unix socket; the first that exists of libvirtd's and virtqemud's when empty"`
	LibvirtPool     string `toml:"libvirt_pool" help:"storage pool for images, disks and logs; grapevine when empty, made when absent"`
	LibvirtPoolPath string `toml:"libvirt_pool_path" help:"folder of a pool that is made; /var/lib/libvirt/images/grapevine when empty"`
	LibvirtDiskPool string `toml:"libvirt_disk_pool" help:"storage pool for disks, which may be on LVM or ZFS; libvirt_pool when empty"`
	LibvirtNetwork  string `toml:"libvirt_network" help:"libvirt network of new machines; default when empty"`
	Accelerator     string `toml:"accelerator" help:"auto, kvm or tcg; auto takes KVM when libvirt says that this processor can"`

	ESXiURL          string `toml:"esxi_url" help:"the ESXi host's name, or https://HOST/sdk"`
	ESXiUser         string `toml:"esxi_user" help:"account on the ESXi host itself"`
	ESXiPasswordFile string `toml:"esxi_password_file" help:"file with the account's password, not open to every user"`
	ESXiThumbprint   string `toml:"esxi_thumbprint" help:"SHA-1 or SHA-256 of the host's certificate, where no known authority signed it"`
	ESXiInsecure     bool   `toml:"esxi_insecure" help:"accept any certificate; for trials, whoever answers gets the password"`
	ESXiDatastore    string `toml:"esxi_datastore" help:"datastore for images and machines; may be empty where there is one"`
	ESXiNetwork      string `toml:"esxi_network" help:"port group of new machines; VM Network when empty"`

	SimulatedHypervisor fleet.Hypervisor `toml:"simulated_hypervisor" help:"what a simulated host says it runs: kvm, xen or esxi"`
	SimulatedDir        string           `toml:"simulated_dir" help:"folder that a simulated host remembers its machines in; empty: it forgets them"`
	SimulatedVCPUs      int64            `toml:"simulated_vcpus" help:"logical CPUs of a simulated host; 0 for 16"`
	SimulatedMemoryMiB  int64            `toml:"simulated_memory_mib" help:"MiB of memory of a simulated host; 0 for 65536"`
	SimulatedDiskGiB    int64            `toml:"simulated_disk_gib" help:"GiB of disk of a simulated host; 0 for 1000"`
	SimulatedBuildStep  time.Duration    `toml:"simulated_build_step" help:"how long each step of a simulated build takes"`
}

func defaultDriver() driverConfig {
	return driverConfig{
		Driver: "libvirt", Accelerator: libvirt.Auto, SimulatedHypervisor: fleet.KVM,
		SimulatedBuildStep: simulated.DefaultLatency().BuildStep,
	}
}

// open makes the driver. It asks the hypervisor nothing yet: one that does not
// answer is looked for again and again.
func (c *driverConfig) open(log *slog.Logger) (drivers.Driver, error) {
	switch c.Driver {
	case "libvirt":
		return libvirt.New(libvirt.Config{
			URI: c.LibvirtURI, Socket: c.LibvirtSocket, Accelerator: c.Accelerator,
			Pool: c.LibvirtPool, PoolPath: c.LibvirtPoolPath, DiskPool: c.LibvirtDiskPool, Network: c.LibvirtNetwork, Log: log,
		})
	case "esxi":
		password, err := readPassword(c.ESXiPasswordFile)
		if err != nil {
			return nil, err
		}
		return esxi.New(esxi.Config{
			URL: c.ESXiURL, User: c.ESXiUser, Password: password, Thumbprint: c.ESXiThumbprint, Insecure: c.ESXiInsecure,
			Datastore: c.ESXiDatastore, Network: c.ESXiNetwork, Log: log,
		})
	case "simulated":
		return c.openSimulated()
	default:
		return nil, fmt.Errorf("driver is %q; it must be libvirt, esxi or simulated", c.Driver)
	}
}

func (c *driverConfig) openSimulated() (drivers.Driver, error) {
	if err := c.SimulatedHypervisor.Validate(); err != nil {
		return nil, fmt.Errorf("simulated_hypervisor: %w", err)
	}
	size, latency := simulated.DefaultResources(), simulated.DefaultLatency()
	latency.BuildStep = c.SimulatedBuildStep
	hypervisor, err := simulated.New(simulated.Config{
		Hypervisor: c.SimulatedHypervisor, Dir: c.SimulatedDir, Latency: &latency,
		Resources: fleet.Resources{
			VCPUs: cmp.Or(c.SimulatedVCPUs, size.VCPUs), MemoryMiB: cmp.Or(c.SimulatedMemoryMiB, size.MemoryMiB), DiskGiB: cmp.Or(c.SimulatedDiskGiB, size.DiskGiB),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("simulate a hypervisor: %w", err)
	}
	return hypervisor.Connect(), nil
}

// readPassword reads a password from a file that other users must not see.
func readPassword(path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("esxi_password_file is not set; put the account's password into a file of its own and name it")
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read esxi_password_file: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("esxi_password_file %s is open to every user (mode %04o); run chmod 600 on it", path, info.Mode().Perm())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read esxi_password_file: %w", err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}

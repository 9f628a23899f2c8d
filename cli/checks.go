package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"grapevine/agent/convert"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
)

const (
	// gossipPort is what a join without a port means.
	gossipPort = "7946"
	// probe is how long one look over the network may take.
	probe = 2 * time.Second
	// diagnosis is how long a hypervisor may take.
	diagnosis = 20 * time.Second
)

func (a *app) checkCertificate(p *patient) finding {
	id, err := identity.Load(p.files, a.now(), p.role)
	if err != nil {
		return found("certificate", p.files.Cert, levelError, sentence(err), fmt.Sprintf("issue one with: grapevine tls issue --role %s", p.role))
	}
	subject := id.Subject()
	left := id.NotAfter().Sub(a.now())
	said := fmt.Sprintf("%s of fleet %s, id %s, valid for %s more", subject.Name, subject.Fleet, subject.ID, age(left))
	switch {
	case p.fleet != "" && p.fleet != subject.Fleet:
		return found("certificate", p.files.Cert, levelError, fmt.Sprintf("it is of fleet %s, and the configuration says fleet %s", subject.Fleet, p.fleet), "correct the key fleet, or use this fleet's certificate")
	case a.now().After(id.RenewalDue()):
		return found("certificate", p.files.Cert, levelWarning, said+": it should have renewed itself by now", fmt.Sprintf("look in the %s's log for why it could not; by hand: grapevine tls issue --role %s --id %s", p.role, p.role, subject.ID))
	default:
		return fine("certificate", p.files.Cert, said)
	}
}

// checkIssuers looks for who renews the certificate; a daemon that does not say
// who the members are is not judged.
func checkIssuers(ctx context.Context, p *patient) []finding {
	ctx, cancel := context.WithTimeout(ctx, probe)
	defer cancel()
	members, err := p.members(ctx)
	if err != nil {
		return nil
	}
	issuers := 0
	for i := range members {
		if members[i].Issues && members[i].Status == fleet.MemberAlive {
			issuers++
		}
	}
	if issuers == 0 {
		return []finding{found("renewal", p.files.Cert, levelWarning, "no member of the mesh holds a CA, so no certificate renews itself",
			"give one to a registry with listen_tls or to an agent: grapevine tls intermediate, and the keys ca_cert_file and ca_key_file")}
	}
	return []finding{fine("renewal", p.files.Cert, plural(issuers, "member")+" of the mesh can renew it")}
}

// checkAlike looks for registries that do not have what this one has. An agent
// compares nothing, and a registry that does not say who the members are is not
// judged.
func checkAlike(ctx context.Context, p *patient) []finding {
	if p.role != identity.Registry {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probe)
	defer cancel()
	members, err := p.members(ctx)
	if err != nil {
		return nil
	}
	var findings []finding
	others := 0
	for i := range members {
		m := &members[i]
		if m.Role != fleet.RoleRegistry || m.Status != fleet.MemberAlive {
			continue
		}
		others++
		if m.DiffersMS == 0 {
			continue
		}
		said := "its users file or settings are not those of this registry, for " + ageMS(m.DiffersMS)
		if time.Duration(m.DiffersMS)*time.Millisecond <= fleet.DiffersAfter {
			findings = append(findings, fine("alike", "registry "+m.Name, said+": they may be on their way"))
			continue
		}
		findings = append(findings, found("alike", "registry "+m.Name, levelWarning, said, "see which with: grapevine verify; then bring users_file, and flavors, unique_names, placement and oidc, of the right one to the other"))
	}
	if findings == nil && others > 1 {
		findings = []finding{fine("alike", "registries", fmt.Sprintf("%d registries have the same users file and settings", others))}
	}
	return findings
}

// checkConverter looks for what turns disks into the format that a host takes.
func checkConverter() finding {
	path, err := convert.Find()
	if err != nil {
		return found("images", "qemu-img", levelWarning, "it is not there, so images are taken only in the formats that the hypervisor reads", "install the package qemu-utils (Debian, Ubuntu) or qemu-img (Fedora, RHEL, SUSE), and restart the agent")
	}
	return fine("images", path, "converts disks that the hypervisor does not read")
}

func checkGossipKey(p *patient) finding {
	if _, err := identity.LoadGossipKey(p.gossipKey); err != nil {
		return found("gossip_key", p.gossipKey, levelError, sentence(err), "copy the file gossip.key of another node of the fleet")
	}
	return fine("gossip_key", p.gossipKey, "holds a key of 256 bits")
}

// checkFolder tries whether a folder, or the one it will be made in, takes a
// file from the user who asks.
func checkFolder(dir string) finding {
	existing := dir
	for {
		info, err := os.Stat(existing)
		if err == nil && !info.IsDir() {
			return found("data_folder", dir, levelError, existing+" is not a folder", "move it away, or set data_dir")
		}
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrNotExist) || filepath.Dir(existing) == existing {
			return found("data_folder", dir, levelError, sentence(err), "make the folder for the user grapevine, or set data_dir")
		}
		existing = filepath.Dir(existing)
	}
	file, err := os.CreateTemp(existing, ".grapevine-doctor-")
	if err != nil {
		return found("data_folder", dir, levelError, sentence(err), "give the folder to the user that the agent runs as")
	}
	if err := errors.Join(file.Close(), os.Remove(file.Name())); err != nil {
		return found("data_folder", dir, levelWarning, sentence(err), "look at the folder")
	}
	if existing != dir {
		return fine("data_folder", dir, "will be made in "+existing)
	}
	return fine("data_folder", dir, "can be written to")
}

// answers reports whether a node answers at addr, whoever it is.
func answers(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, probe)
	defer cancel()
	node, err := client.New(addr, client.Options{TLS: &tls.Config{InsecureSkipVerify: true}}) //nolint:gosec // it is asked for a sign of life, and told nothing.
	if err != nil {
		return false
	}
	defer node.Close()
	return node.Healthy(ctx) == nil
}

func checkSocket(socket string, running bool) finding {
	if running {
		return fine("socket", socket, "an agent answers on it")
	}
	_, err := os.Stat(filepath.Dir(socket))
	if err != nil {
		return found("socket", socket, levelWarning, sentence(err), "systemd makes the folder when it starts the agent; by hand: install -d -o grapevine -g grapevine "+filepath.Dir(socket))
	}
	return fine("socket", socket, "no agent runs; one will listen here")
}

// checkPorts tries to listen where the daemon will.
func checkPorts(ctx context.Context, p *patient, running bool) []finding {
	var findings []finding
	var listen net.ListenConfig
	for _, at := range p.tcp {
		l, err := listen.Listen(ctx, "tcp", at.address)
		if err == nil {
			err = l.Close()
		}
		findings = append(findings, portFinding("TCP", at, err, running))
	}
	for _, at := range p.udp {
		l, err := listen.ListenPacket(ctx, "udp", at.address)
		if err == nil {
			err = l.Close()
		}
		findings = append(findings, portFinding("UDP", at, err, running))
	}
	return findings
}

func portFinding(network string, at port, err error, running bool) finding {
	subject := network + " " + at.address
	switch {
	case err == nil:
		return fine("port", subject, "is free")
	case errors.Is(err, syscall.EADDRINUSE) && running:
		return fine("port", subject, "is in use, by the one that runs")
	case errors.Is(err, syscall.EADDRINUSE):
		return found("port", subject, levelError, "is in use by another program", fmt.Sprintf("see which with: ss -lnp, and stop it or set %s", at.key))
	default:
		return found("port", subject, levelError, sentence(err), "set "+at.key+" to an address of this machine")
	}
}

// checkJoin tries the members to join through. One that is down is no fault of
// this machine, so it is a warning.
func checkJoin(ctx context.Context, members []string) []finding {
	if len(members) == 0 {
		return []finding{found("join", "join", levelWarning, "nobody to join is named: this node starts a fleet of its own", "set join, unless it is the first of its fleet")}
	}
	var findings []finding
	for _, member := range members {
		address := member
		if _, _, err := net.SplitHostPort(member); err != nil {
			address = net.JoinHostPort(member, gossipPort)
		}
		dialer := net.Dialer{Timeout: probe}
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			findings = append(findings, found("join", "join "+member, levelWarning, sentence(err), "start that node, or correct join, or open the port (TCP and UDP) in the firewall"))
			continue
		}
		_ = conn.Close() // it was only a knock
		findings = append(findings, fine("join", "join "+member, "can be reached"))
	}
	return findings
}

package cli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// daemonUser is who the packaged units run daemons as.
const daemonUser = "grapevine"

// unixUser is a user that a daemon runs as, by the system's own list.
type unixUser struct {
	name   string
	uid    int
	gids   []int
	groups []string
}

// daemonAccount looks the daemons' user up; nil where there is none, as where
// nothing was installed.
func daemonAccount() *unixUser {
	u, err := user.Lookup(daemonUser)
	if err != nil {
		return nil
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil
	}
	a := &unixUser{name: u.Username, uid: uid}
	ids, err := u.GroupIds()
	if err != nil {
		return nil
	}
	for _, id := range ids {
		gid, err := strconv.Atoi(id)
		if err != nil {
			continue
		}
		a.gids = append(a.gids, gid)
		if g, err := user.LookupGroupId(id); err == nil {
			a.groups = append(a.groups, g.Name)
		}
	}
	return a
}

// otherAccount is the daemons' user where root asks, who may read everything
// and so would find nothing.
func otherAccount() *unixUser {
	if os.Geteuid() != 0 {
		return nil
	}
	return daemonAccount()
}

// may reports whether the user has these rights (4 to read, 1 to enter) on what
// is described.
func (a *unixUser) may(info os.FileInfo, rights os.FileMode) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || a.uid == 0 {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case int(owner.Uid) == a.uid:
		mode >>= 6
	case slices.Contains(a.gids, int(owner.Gid)):
		mode >>= 3
	}
	return mode&rights == rights
}

// barrier is the first thing on the way to a file that keeps the user from
// reading it, or nothing.
func (a *unixUser) barrier(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	dirs := []string{}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
		if dir == filepath.Dir(dir) {
			break
		}
	}
	slices.Reverse(dirs)
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && !a.may(info, 1) {
			return dir
		}
	}
	if info, err := os.Stat(path); err == nil && !a.may(info, 4) {
		return path
	}
	return ""
}

// checkAccount looks whether the daemon, which is not the one who asks, can
// read what it needs and may do what it must.
func checkAccount(p *patient) []finding {
	if p.account == nil {
		return nil
	}
	var findings []finding
	shut := ""
	for _, path := range []string{p.config, p.files.CA, p.files.Cert, p.files.Key, p.gossipKey} {
		if path == "" || shut != "" {
			continue
		}
		if barrier := p.account.barrier(path); barrier != "" {
			shut = barrier
			fix := fmt.Sprintf("chown -R %s: %s", p.account.name, filepath.Dir(path))
			if barrier != path {
				fix = fmt.Sprintf("chgrp %s %s; chmod g+x %s", p.account.name, barrier, barrier)
			}
			findings = append(findings, found("account_files", path, levelError, fmt.Sprintf("the user %s, whom the daemon runs as, cannot read it: %s is closed to it", p.account.name, barrier), fix))
		}
	}
	if shut == "" {
		findings = append(findings, fine("account_files", "user "+p.account.name, "can read the configuration, the certificate and the keys"))
	}
	for _, group := range p.groups {
		if slices.Contains(p.account.groups, group) {
			findings = append(findings, fine("account_groups", "user "+p.account.name, "is in the group "+group))
			continue
		}
		findings = append(findings, found("account_groups", "user "+p.account.name, levelError, "is not in the group "+group+", so the hypervisor refuses it",
			fmt.Sprintf("usermod --append --groups %s %s, and restart the agent", group, p.account.name)))
	}
	return findings
}

// checkSocketGroup looks whether the group that may use the socket is there.
func checkSocketGroup(group string) []finding {
	if group == "" {
		return nil
	}
	_, err := user.LookupGroup(group)
	if err == nil {
		return []finding{fine("socket_group", "group "+group, "may use the agent's socket")}
	}
	if _, unknown := errors.AsType[user.UnknownGroupError](err); unknown {
		return []finding{found("socket_group", "group "+group, levelWarning, "there is no such group, so root alone may use the agent's socket", "run systemd-sysusers, or set socket_group")}
	}
	return []finding{found("socket_group", "group "+group, levelWarning, sentence(err), "look at /etc/group and /etc/nsswitch.conf")}
}

// saysNothing reports whether a configuration sets no key, as the one that a
// package brings.
func saysNothing(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}

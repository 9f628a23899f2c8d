package cloudinit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"grapevine/fleet"
)

// maxText bounds what is read of one text: all that a guest may be given, and
// what a configuration of its cards adds.
const maxText = 4 * fleet.MaxGuestBytes

// ReadSeed returns what a seed tells a guest, so that it can be told again.
func ReadSeed(image []byte) (fleet.Guest, error) {
	files, err := discFiles(image, "meta-data", "user-data", "network-config")
	if err != nil {
		return fleet.Guest{}, fmt.Errorf("read seed: %w", err)
	}
	return guestOf([]byte(files["meta-data"]), files["user-data"], files["network-config"])
}

// ReadGuestInfo returns what the options of a virtual machine tell its guest;
// nothing where there are none.
func ReadGuestInfo(options map[string]string) (fleet.Guest, error) {
	if options["guestinfo.metadata"] == "" {
		return fleet.Guest{}, nil
	}
	meta, err := unpacked(options["guestinfo.metadata"])
	if err != nil {
		return fleet.Guest{}, err
	}
	user, err := unpacked(options["guestinfo.userdata"])
	if err != nil {
		return fleet.Guest{}, err
	}
	var seen metadata
	if err := json.Unmarshal(meta, &seen); err != nil {
		return fleet.Guest{}, fmt.Errorf("read guestinfo: %w", err)
	}
	net, err := unpacked(seen.Network)
	if err != nil {
		return fleet.Guest{}, err
	}
	return guestOf(meta, string(user), string(net))
}

// unpacked undoes packed.
func unpacked(value string) ([]byte, error) {
	if value == "" {
		return nil, nil
	}
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, fmt.Errorf("read guestinfo: %w", err)
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read guestinfo: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err == nil && len(content) > maxText {
		err = fmt.Errorf("it unpacks to more than %d bytes", maxText) // a part would be told as if it were all
	}
	if err != nil {
		return nil, fmt.Errorf("read guestinfo: %w", err)
	}
	return content, nil
}

func guestOf(meta []byte, userData, network string) (fleet.Guest, error) {
	var seen metadata
	if err := json.Unmarshal(meta, &seen); err != nil {
		return fleet.Guest{}, fmt.Errorf("read cloud-init's meta-data: %w", err)
	}
	guest := fleet.Guest{Hostname: seen.LocalHostname, SSHKeys: seen.PublicKeys, UserData: userData, NetworkConfig: network}
	if userData == noUserData {
		guest.UserData = ""
	}
	return guest, nil
}

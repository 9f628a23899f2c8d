package cloudinit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
)

// encoding is how guestinfo's values are written: any text fits so.
const encoding = "gzip+base64"

// GuestInfo returns the document as options of a virtual machine, which
// VMware's tools read in the guest.
func (d *Document) GuestInfo() (map[string]string, error) {
	meta := d.metadata()
	net, err := d.networkConfig()
	if err != nil {
		return nil, err
	}
	if net != "" {
		meta.NetworkEncoding = encoding
		if meta.Network, err = packed(net); err != nil {
			return nil, err
		}
	}
	metaText, err := text(meta)
	if err != nil {
		return nil, err
	}
	options := map[string]string{}
	for key, value := range map[string]string{"guestinfo.metadata": metaText, "guestinfo.userdata": d.userData()} {
		if options[key], err = packed(value); err != nil {
			return nil, err
		}
		options[key+".encoding"] = encoding
	}
	return options, nil
}

func packed(value string) (string, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(value)); err != nil {
		return "", fmt.Errorf("compress guestinfo: %w", err)
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("compress guestinfo: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

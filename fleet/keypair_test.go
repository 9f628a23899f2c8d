package fleet_test

import (
	"strings"
	"testing"

	"grapevine/fleet"
)

// What ssh-keygen -l says of the same keys.
func TestKeyPairSaysWhatOpenSSHSays(t *testing.T) {
	for line, want := range map[string]fleet.KeyPair{
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMVYfm3/siSfjDExUYPIq8DtmMGBtCn5istjaR50Xpqh alice@laptop": {
			Type: "ssh-ed25519", Fingerprint: "SHA256:oc+FkQUTSvJiFizPaTKmATSozNAZwiLWwBU/9uq5YJw",
		},
		"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHP23FxpALT4WuTHoj7wOGbdYTrf3fZioHBRBKiESlkmswUOouYOtXyF1+9uZn+ysESmwrx043JtPa1HS+RRvEk=": {
			Type: "ecdsa-sha2-nistp256", Fingerprint: "SHA256:xcdJsr2ICYDHaUaoXjDTR8udn4QWHQvfk8y/O7sRhw0",
		},
	} {
		if err := (&fleet.CreateKeyPair{Name: "k", PublicKey: line}).Validate(); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		got := fleet.KeyPairOf(&fleet.Record{PublicKey: line})
		if got.Type != want.Type || got.Fingerprint != want.Fingerprint || got.PublicKey != line {
			t.Errorf("%s: got %+v", line, got)
		}
	}
}

func TestWhatIsNoPublicKeyIsRefused(t *testing.T) {
	const good = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMVYfm3/siSfjDExUYPIq8DtmMGBtCn5istjaR50Xpqh"
	for why, line := range map[string]string{
		"is a private key":        "-----BEGIN OPENSSH PRIVATE KEY-----",
		"another type":            strings.Replace(good, "ssh-ed25519", "ssh-rsa", 1),
		"another type, or cut":    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
		"not base64":              "ssh-ed25519 AAAA!",
		"is not one line as in":   "ssh-ed25519",
		"is not one line of text": good + "\nssh-rsa AAAA",
		"without blanks":          good + " ",
		"at most":                 good + " " + strings.Repeat("c", fleet.MaxPublicKeyBytes),
	} {
		err := (&fleet.CreateKeyPair{Name: "k", PublicKey: line}).Validate()
		if fleet.CodeOf(err) != fleet.CodeInvalid || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestObjectsHaveNamesThatAreNoIDs(t *testing.T) {
	for _, name := range []string{"", " web", "a/b", "6e616d65-6772-4170-a576-696e65000000"} {
		if err := (&fleet.CreateGroup{Name: name, Policy: fleet.Affinity}).Validate(); fleet.CodeOf(err) != fleet.CodeInvalid {
			t.Errorf("name %q: %v", name, err)
		}
	}
	if err := (&fleet.CreateGroup{Name: "web", Policy: "apart"}).Validate(); fleet.CodeOf(err) != fleet.CodeInvalid {
		t.Errorf("policy apart: %v", err)
	}
	for _, policy := range fleet.GroupPolicies() {
		if err := (&fleet.CreateGroup{Name: "web", Policy: policy}).Validate(); err != nil {
			t.Error(err)
		}
	}
}

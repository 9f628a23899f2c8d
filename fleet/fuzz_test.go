package fleet

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// The texts that name things travel in paths, headers and queries. Each has one
// form: what is read is written as the form, and reads the same again. Errors
// are bounded, however long the text is.
func FuzzTexts(f *testing.F) {
	id := UUID{1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, 16}
	f.Add(id.String())
	f.Add(strings.ToUpper(id.String()))
	f.Add(Version{Host: id, Epoch: 3, Seq: 1<<64 - 1}.String())
	f.Add(OperationID(id, 12))
	f.Add(Asker{Role: "operator", Name: "åsa & co", ID: id, Address: "[::1]:7948"}.Encode())
	f.Add("role=%zz&id=1")
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMQ1aH7sHBTHDWvbY4oYqKnqyzC0YtDgNWKyaMZPpKSi alice@example.org")
	f.Add("ssh-rsa /////w==")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := ParseUUID(text); err != nil {
			bounded(t, text, err)
		} else if id.String() != strings.ToLower(text) {
			t.Errorf("the id %q is written %q", text, id)
		}
		if v, err := ParseVersion(text); err != nil {
			bounded(t, text, err)
		} else if again, err := ParseVersion(v.String()); !v.IsZero() && (err != nil || again != v) {
			t.Errorf("the version %q is written %q: %v", text, v, err)
		}
		if host, n, err := ParseOperationID(text); err != nil {
			bounded(t, text, err)
		} else if againHost, again, err := ParseOperationID(OperationID(host, n)); err != nil || again != n || againHost != host {
			t.Errorf("the operation %q is written %q", text, OperationID(host, n))
		}
		if a, err := ParseAsker(text); err != nil {
			bounded(t, text, err)
		} else if again, err := ParseAsker(a.Encode()); err != nil || again != a {
			t.Errorf("the asker %q is written %q and read as %+v: %v", text, a.Encode(), again, err)
		}
		if kind, print, err := readPublicKey(text); err != nil {
			if bounded(t, text, err); strings.Contains(text, "PRIVATE") && len(text) > 60 && strings.Contains(err.Error(), text) {
				t.Errorf("a private key is repeated: %v", err)
			}
		} else if !strings.HasPrefix(text, kind+" ") || len(print) != len("SHA256:")+43 {
			t.Errorf("%q is a key of type %q with the fingerprint %q", text, kind, print)
		}
	})
}

// bounded says that an error is one line of bounded length.
func bounded(t *testing.T, text string, err error) {
	t.Helper()
	if said := err.Error(); len(said) > 600 || strings.ContainsAny(said, "\n\x00") {
		t.Errorf("of a text of %d bytes: %q", len(text), said)
	}
}

// What a peer or a client sends in JSON is validated before it is believed. What
// is valid stays valid, and the same, when it is written and read again: it is
// journalled, and passed on to other nodes, so.
func FuzzValid(f *testing.F) {
	id := UUID{1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, 16}
	seed := func(kind byte, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, text)
	}
	seed(0, Create{Name: "web", Flavor: "tiny", Image: "tiny", Labels: map[string]string{"a": "b"}, Networks: []NIC{{Network: "lan"}}, Guest: Guest{Hostname: "web", UserData: "#!/bin/sh\n"}})
	seed(1, Record{Kind: Forget, Acceptor: id, Subject: id, Name: "alpha", Why: "sold", By: "alice", Covers: Version{Host: id, Epoch: 3, Seq: 4}, AcceptedAt: time.Unix(1, 0).UTC()})
	seed(1, Record{Kind: MakeGroup, Acceptor: id, Subject: UUID{4}, Name: "web", Project: "shop", Policy: Affinity, By: "alice"})
	seed(1, Record{Kind: RevokeUser, Acceptor: id, Subject: UUID{5}, Name: "bob", CreatedAt: time.Unix(2, 0).UTC(), Why: "gone"})
	seed(2, Image{ID: strings.Repeat("ab", 32), Name: "tiny", Files: []ImageFile{{Role: RoleDisk, Format: FormatRaw, SHA256: strings.Repeat("cd", 32), Bytes: 10}}, Bytes: 10})
	seed(3, Move{ID: OperationID(id, 4), Source: id, To: UUID{9}, Generation: 2})
	seed(4, GrantAsk{Number: 1, Key: id})
	seed(5, WitnessSet{Number: 1, Members: []HostID{{1}, {2}, {3}, {4}, {5}}})
	seed(6, Export{Format: ExportFormat, Instance: ExportedInstance{Name: "web"}})
	f.Fuzz(func(t *testing.T, kind byte, text []byte) {
		switch kind % 7 {
		case 0:
			valid[Create](t, text)
		case 1:
			valid[Record](t, text)
		case 2:
			valid[Image](t, text)
		case 3:
			valid[Move](t, text)
		case 4:
			valid[GrantAsk](t, text)
		case 5:
			valid[WitnessSet](t, text)
		case 6:
			valid[Export](t, text)
		}
	})
}

// seal gives what bears the digest of its content the right one, which the engine
// cannot guess.
func seal(v any) {
	switch v := v.(type) {
	case *Record:
		v.ID = NameRecord(v)
	case *Image:
		v.ID = ImageID(v.Files, v.Cmdline)
	case *Export:
		v.ID, _ = ExportID(v) // Validate says so too
	}
}

func valid[T any, P interface {
	*T
	Validate() error
}](t *testing.T, text []byte) {
	t.Helper()
	v := P(new(T))
	if json.Unmarshal(text, v) != nil {
		return
	}
	seal(v)
	if err := v.Validate(); err != nil {
		bounded(t, string(text), err)
		return
	}
	written, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("what is valid does not encode: %v", err)
	}
	again := P(new(T))
	if err := json.Unmarshal(written, again); err != nil || again.Validate() != nil {
		t.Fatalf("%s is valid, and %s not: %v", text, written, err)
	}
	if twice, err := json.Marshal(again); err != nil || string(twice) != string(written) {
		t.Errorf("%s is written %s, and then %s", text, written, twice)
	}
}

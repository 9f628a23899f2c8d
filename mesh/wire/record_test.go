package wire_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

func decision() fleet.Record {
	r := fleet.Record{
		Kind: fleet.Forget, Subject: fleet.UUID{3}, Name: "node-3", Covers: fleet.Version{Host: fleet.UUID{3}, Epoch: 7, Seq: 300},
		By: "operator alice", Why: "burnt", AcceptedAt: time.UnixMilli(1700000000123).UTC(), Acceptor: fleet.UUID{1},
	}
	r.ID = fleet.NameRecord(&r)
	return r
}

func intent() fleet.Record {
	r := decision()
	r.Kind, r.Subject, r.Generation, r.CreatedAt = fleet.DeleteIntent, fleet.UUID{9}, 2, time.UnixMilli(1600000000456).UTC()
	r.ID = fleet.NameRecord(&r)
	return r
}

func group() fleet.Record {
	r := fleet.Record{
		Kind: fleet.MakeGroup, Subject: fleet.UUID{5}, Name: "web", Project: "shop", Policy: fleet.AntiAffinity,
		By: "operator alice", AcceptedAt: time.UnixMilli(1700000000123).UTC(), Acceptor: fleet.UUID{1},
	}
	r.ID = fleet.NameRecord(&r)
	return r
}

func keyPair() fleet.Record {
	r := group()
	r.Kind, r.Policy = fleet.MakeKeyPair, ""
	r.PublicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKeX0iPgOg6xU8q0r2mYtG8yOaYvXn4C1pXxq6a9Tq0h"
	r.ID = fleet.NameRecord(&r)
	return r
}

func trust() fleet.Record {
	r := decision()
	r.Kind, r.Trust, r.Covers = fleet.TrustRoots, strings.Repeat("list\n", 2000), fleet.Version{}
	r.Subject = fleet.NameTrust(r.Trust)
	r.ID = fleet.NameRecord(&r)
	return r
}

// ended is the record that ends what r makes.
func ended(r fleet.Record) fleet.Record {
	r.Kind, r.Policy, r.PublicKey = r.Kind.End(), "", ""
	r.ID = fleet.NameRecord(&r)
	return r
}

func TestRecordSurvivesTheWire(t *testing.T) {
	for _, want := range []fleet.Record{decision(), intent(), group(), ended(group()), keyPair(), ended(keyPair()), trust()} {
		got, err := wire.DecodeRecord(want.ID, wire.EncodeRecord(want).Bytes())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("what was read is not valid: %v", err)
		}
	}
	r := decision()
	if got, want := wire.RecordKey(r.ID), (wire.Key{Kind: 5, ID: string(r.ID[:])}); got != want {
		t.Errorf("key %v, want %v", got, want)
	}
}

// Other implementations and later versions read these bytes.
func TestRecordIsWrittenAsItAlwaysWas(t *testing.T) {
	const want = "0a06666f72676574" + // kind
		"121003000000000000000000000000000000" + // subject, which is the host
		"1a066e6f64652d33" + "2807" + "30ac02" + // name, epoch, seq
		"4a0e6f70657261746f7220616c696365" + "52056275726e74" + // who and why
		"58fbd095ffbc31" + "621001000000000000000000000000000000" // when and at whom
	if got := hex.EncodeToString(wire.EncodeRecord(decision()).Bytes()); got != want {
		t.Errorf("body\n%s, want\n%s", got, want)
	}
	for want, r := range map[string]fleet.Record{"47e6f699-8e07-58fe-aad6-29d14a8c04c7": decision(), "b57c6284-5c77-5e40-960a-7b6b8457cd2a": intent()} {
		if r.ID.String() != want {
			t.Errorf("%s has the id %s, want %s", r.Kind, r.ID, want)
		}
	}
}

func TestRecordThatIsNoneIsAnError(t *testing.T) {
	short := wire.EncodeRecord(decision()).Bytes()
	for name, body := range map[string][]byte{"no message": {0xff}, "no subject": {}, "cut": short[:len(short)-1]} {
		if r, err := wire.DecodeRecord(fleet.UUID{1}, body); err == nil {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// A kind of a later version is read, so that it can be listed; what it means is
// not known.
func TestRecordOfALaterVersionIsRead(t *testing.T) {
	r := decision()
	r.Kind = "vow"
	got, err := wire.DecodeRecord(r.ID, append(wire.EncodeRecord(r).Bytes(), 0xf8, 0x01, 0x05)) // field 31
	if err != nil || got.Kind != "vow" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLargestObjectFitsItsBound(t *testing.T) {
	r := keyPair()
	r.By, r.Project, r.Name = strings.Repeat("b", fleet.MaxRecordNameBytes), strings.Repeat("p", fleet.MaxNameBytes), strings.Repeat("n", fleet.MaxNameBytes)
	r.PublicKey += " " + strings.Repeat("c", fleet.MaxPublicKeyBytes-len(r.PublicKey)-1)
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	row := wire.Row{Key: wire.RecordKey(r.ID), Body: wire.EncodeRecord(r).Bytes()}
	const most, mostOther = 3277, 1200
	if size := row.Size(); size > most {
		t.Errorf("the largest object takes %d bytes, want at most %d", size, most)
	}
	if all := most*fleet.MaxObjectsHeld + mostOther*(fleet.MaxRecords-fleet.MaxObjectsHeld); all > fleet.MaxBlockBytes*3/5 {
		t.Errorf("all records of an agent take %d bytes, much more than half of a block", all)
	}
}

func TestLargestRecordFitsItsBound(t *testing.T) {
	r := intent()
	r.By, r.Name = strings.Repeat("b", fleet.MaxRecordNameBytes), strings.Repeat("n", fleet.MaxRecordNameBytes)
	r.Why = strings.Repeat("w", fleet.MaxReasonBytes)
	r.Covers.Epoch, r.Covers.Seq, r.Generation = 1<<64-1, 1<<64-1, 1<<64-1
	if err := r.Validate(); err == nil {
		t.Error("an id that does not follow from what is stated is valid")
	}
	r.ID = fleet.NameRecord(&r)
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	row := wire.Row{Key: wire.RecordKey(r.ID), Body: wire.EncodeRecord(r).Bytes()}
	const most = 1200
	if size := row.Size(); size > most {
		t.Errorf("the largest record takes %d bytes, want at most %d", size, most)
	}
	if all := most * fleet.MaxRecords; all > fleet.MaxBlockBytes/3 {
		t.Errorf("all records of an agent take %d bytes, more than a third of a block", all)
	}
	if fleet.MaxRecords > fleet.MaxRows/4 {
		t.Errorf("%d records are more than a quarter of a block's rows", fleet.MaxRecords)
	}
}

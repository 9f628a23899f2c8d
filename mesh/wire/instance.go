package wire

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"grapevine/fleet"
)

// The fields of the message Instance; those used most have numbers below 16,
// whose tags take one byte.
const (
	inName        = 1
	inProjectRef  = 2
	inProject     = 3
	inFlavorRef   = 4
	inImageRef    = 5
	inPower       = 6
	inOwnership   = 7
	inHypervisor  = 8
	inVCPUs       = 9
	inMemoryMiB   = 10
	inDiskGiB     = 11
	inAddress     = 12
	inLabel       = 13
	inLabelRef    = 14
	inCreatedAtMS = 15
	inGeneration  = 16
	inTask        = 17
	inFaultRef    = 18
	inFault       = 19
	inFlavor      = 20
	inImage       = 21
	inPowerWord   = 22
	inOwnerWord   = 23
	inHyperWord   = 24
	inTaskWord    = 25
	inAddressText = 26
	inRescue      = 27
	inSuperseded  = 40
	inTwin        = 41
	inAutostart   = 42
	inStartOrder  = 43
	inMigration   = 44
	inGroup       = 50
	inObservedMS  = 100 // last in every body: see Body

	labelKeyRef = 1
	labelKey    = 2
	labelValue  = 3
)

// Words that have numbers, from 1. A word that is not here is written in full,
// also by later versions, so that this one can read it.
var (
	powers = []fleet.Power{
		fleet.PowerRunning, fleet.PowerPaused, fleet.PowerSuspended, fleet.PowerStopped, fleet.PowerCrashed, fleet.PowerUnknown,
	}
	ownerships  = []fleet.Ownership{fleet.Managed, fleet.Foreign}
	hypervisors = []fleet.Hypervisor{fleet.KVM, fleet.Xen, fleet.ESXi}
	tasks       = []fleet.Task{
		fleet.TaskBuilding, fleet.TaskStarting, fleet.TaskStopping, fleet.TaskRebooting, fleet.TaskPausing, fleet.TaskResuming,
		fleet.TaskAdopting, fleet.TaskDeleting, fleet.TaskMigrating, fleet.TaskResizing, fleet.TaskSnapshotting,
		fleet.TaskAttaching, fleet.TaskDetaching, fleet.TaskDisowning, fleet.TaskRebuilding, fleet.TaskRescuing, fleet.TaskUnrescuing,
	}
)

// appendWord appends a word by its number or, where it has none, in full.
func appendWord[T ~string](buf []byte, word T, words []T, number, inFull int) []byte {
	if i := slices.Index(words, word); i >= 0 {
		return appendVarint(buf, number, uint64(i)+1)
	}
	return appendString(buf, inFull, string(word))
}

func wordOf[T ~string](number uint64, words []T) (T, error) {
	if number-1 >= uint64(len(words)) { // 0 wraps around
		return "", fmt.Errorf("word %d of %d: %w", number, len(words), errBody)
	}
	return words[number-1], nil
}

// EncodeInstance returns the body of an instance's row. Its id is the row's
// key, its host is the block's, and overlays are not encoded. Every text is
// written in full: the block's origin moves those that repeat into its table
// (see Intern).
func EncodeInstance(in fleet.Instance) Body {
	b := make([]byte, 0, 256)
	b = appendString(b, inName, in.Name)
	b = appendInline(b, inProject, in.Project)
	b = appendWord(b, in.Power, powers, inPower, inPowerWord)
	b = appendWord(b, in.Ownership, ownerships, inOwnership, inOwnerWord)
	b = appendWord(b, in.Hypervisor, hypervisors, inHypervisor, inHyperWord)
	b = appendVarint(b, inVCPUs, uint64(in.VCPUs))
	b = appendVarint(b, inMemoryMiB, uint64(in.MemoryMiB))
	b = appendVarint(b, inDiskGiB, uint64(in.DiskGiB))
	for _, address := range in.Addresses {
		b = appendAddress(b, address)
	}
	for _, key := range slices.Sorted(maps.Keys(in.Labels)) {
		b = appendLabel(b, key, in.Labels[key])
	}
	if !in.CreatedAt.IsZero() {
		b = appendVarint(b, inCreatedAtMS, uint64(millis(in.CreatedAt)))
	}
	b = appendVarint(b, inGeneration, in.Generation)
	b = appendWord(b, in.Task, tasks, inTask, inTaskWord)
	b = appendInline(b, inFault, in.Fault)
	b = appendInline(b, inFlavor, in.Flavor)
	b = appendInline(b, inImage, in.Image)
	b = appendInline(b, inRescue, in.Rescue)
	b = appendID(b, inSuperseded, in.SupersededBy)
	b = appendID(b, inTwin, in.Twin)
	b = appendString(b, inAutostart, string(in.Autostart))
	b = appendVarint(b, inStartOrder, uint64(max(in.StartOrder, 0)))
	b = appendString(b, inMigration, in.Migration)
	b = appendID(b, inGroup, in.Group)
	return Body{Core: b, Stamp: appendVarint(nil, inObservedMS, uint64(millis(in.ObservedAt)))}
}

func appendID(b []byte, number int, id fleet.UUID) []byte {
	if id.IsZero() {
		return b
	}
	return appendBytes(b, number, id[:])
}

func readID(b []byte) (fleet.UUID, error) {
	id, err := fleet.UUIDFromBytes(b)
	if err != nil {
		return id, fmt.Errorf("%w: %w", err, errBody)
	}
	return id, nil
}

func appendLabel(b []byte, key, value string) []byte {
	var space [640]byte // a key and a value of fleet.MaxNameBytes, twice over
	label := appendInline(space[:0], labelKey, key)
	return appendBytes(b, inLabel, appendInline(label, labelValue, value))
}

// DecodeInstance reads the body of an instance's row; texts is the table of
// its block. Strings of the result alias body and the table: they keep the
// block from being freed.
func DecodeInstance(host fleet.HostID, id fleet.InstanceID, body []byte, texts Table) (fleet.Instance, error) {
	in := fleet.Instance{ID: id, Host: host, Addresses: []string{}, Labels: map[string]string{}}
	for rest := body; len(rest) > 0; {
		f, next, err := nextField(rest)
		if err == nil {
			err = decodeInstanceField(&in, &f, texts)
		}
		if err != nil {
			return fleet.Instance{}, fmt.Errorf("decode row of instance %s: %w", id, err)
		}
		rest = next
	}
	return in, nil
}

func decodeInstanceField(in *fleet.Instance, f *field, texts Table) (err error) {
	if f.typ == typeBytes {
		return decodeInstanceBytes(in, f, texts)
	}
	if f.typ != typeVarint {
		return nil
	}
	switch f.number {
	case inLabelRef:
		var label []byte
		if label, err = lookUp(texts, f.value); err == nil {
			err = decodeLabel(in, label, texts)
		}
	case inProjectRef:
		in.Project, err = referred(texts, f.value)
	case inFlavorRef:
		in.Flavor, err = referred(texts, f.value)
	case inImageRef:
		in.Image, err = referred(texts, f.value)
	case inFaultRef:
		in.Fault, err = referred(texts, f.value)
	case inPower:
		in.Power, err = wordOf(f.value, powers)
	case inOwnership:
		in.Ownership, err = wordOf(f.value, ownerships)
	case inHypervisor:
		in.Hypervisor, err = wordOf(f.value, hypervisors)
	case inTask:
		in.Task, err = wordOf(f.value, tasks)
	case inVCPUs:
		in.VCPUs = int64(f.value)
	case inMemoryMiB:
		in.MemoryMiB = int64(f.value)
	case inDiskGiB:
		in.DiskGiB = int64(f.value)
	case inCreatedAtMS:
		in.CreatedAt = moment(int64(f.value))
	case inGeneration:
		in.Generation = f.value
	case inStartOrder:
		in.StartOrder = int(int32(f.value))
	case inObservedMS:
		in.ObservedAt = moment(int64(f.value))
	}
	return err
}

func decodeInstanceBytes(in *fleet.Instance, f *field, texts Table) (err error) {
	word := ""
	switch f.number {
	case inName:
		in.Name, err = plain(f.bytes)
	case inProject:
		in.Project, err = readText(f.bytes)
	case inFlavor:
		in.Flavor, err = readText(f.bytes)
	case inImage:
		in.Image, err = readText(f.bytes)
	case inRescue:
		in.Rescue, err = readText(f.bytes)
	case inFault:
		in.Fault, err = readText(f.bytes)
	case inSuperseded:
		in.SupersededBy, err = readID(f.bytes)
	case inTwin:
		in.Twin, err = readID(f.bytes)
	case inMigration:
		in.Migration, err = plain(f.bytes)
	case inGroup:
		in.Group, err = readID(f.bytes)
	case inAutostart:
		word, err = plain(f.bytes)
		in.Autostart = fleet.Autostart(word)
	case inAddress, inAddressText:
		word, err = readAddress(f)
		in.Addresses = append(in.Addresses, word)
	case inLabel:
		err = decodeLabel(in, f.bytes, texts)
	case inPowerWord:
		word, err = plain(f.bytes)
		in.Power = fleet.Power(word)
	case inOwnerWord:
		word, err = plain(f.bytes)
		in.Ownership = fleet.Ownership(word)
	case inHyperWord:
		word, err = plain(f.bytes)
		in.Hypervisor = fleet.Hypervisor(word)
	case inTaskWord:
		word, err = plain(f.bytes)
		in.Task = fleet.Task(word)
	}
	return err
}

func decodeLabel(in *fleet.Instance, label []byte, texts Table) error {
	k, v, err := labelParts(label, texts)
	if err != nil {
		return err
	}
	key, err := readText(k)
	if err != nil {
		return err
	}
	in.Labels[key], err = readText(v)
	return err
}

// plainLabel returns the number of a label's key and its encoded value, if it is
// one of the plainest form, as nearly all are that stand in a row.
func plainLabel(label []byte) (key uint64, value []byte, ok bool) {
	n := len(label)
	if n < 4 || n >= 0x80 || label[0] != labelKeyRef<<3 || label[1] >= 0x80 ||
		label[2] != labelValue<<3|byte(typeBytes) || int(label[3]) != n-4 {
		return 0, nil, false
	}
	return uint64(label[1]), label[4:], true
}

// labelParts returns the encoded texts of a label's key and value.
func labelParts(label []byte, texts Table) (key, value []byte, err error) {
	for rest := label; len(rest) > 0; {
		var f field
		if f, rest, err = nextField(rest); err != nil {
			return nil, nil, err
		}
		switch {
		case f.number == labelKeyRef && f.typ == typeVarint:
			key, err = lookUp(texts, f.value)
		case f.number == labelKey && f.typ == typeBytes:
			key = f.bytes
		case f.number == labelValue && f.typ == typeBytes:
			value = f.bytes
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return key, value, nil
}

func referred(texts Table, number uint64) (string, error) {
	b, err := lookUp(texts, number)
	if err != nil {
		return "", err
	}
	return readText(b)
}

func plain(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", fmt.Errorf("text that is not UTF-8: %w", errBody)
	}
	return inPlace(b), nil
}

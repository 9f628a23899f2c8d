package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// ExportFormat is the version of the file that exports are, in its manifest.
const ExportFormat = 1

// VerbExport is the verb of operations that prepare an instance to be carried
// away.
const VerbExport = "export"

// Export describes an instance that is carried away: what its file begins with.
type Export struct {
	Format int `json:"format"`
	// ID is the digest of the rest, and so of all content: see ExportID.
	ID       string           `json:"id"`
	Instance ExportedInstance `json:"instance"`
	// Files are what follows in the file, in this order.
	Files []ExportedFile `json:"files"`
}

// ExportedInstance is what the instance had where it comes from. What its guest
// was told by cloud-init is not among it: that may be secret.
type ExportedInstance struct {
	ID         InstanceID        `json:"id"`
	Name       string            `json:"name"`
	Project    string            `json:"project"`
	Hypervisor Hypervisor        `json:"hypervisor"`
	Flavor     string            `json:"flavor"`
	VCPUs      int64             `json:"vcpus"`
	MemoryMiB  int64             `json:"memory_mib"`
	Labels     map[string]string `json:"labels,omitempty"`
	Firmware   Firmware          `json:"firmware,omitempty"` // empty: the usual one
	Cmdline    string            `json:"cmdline,omitempty"`  // of a kernel that it boots
	// Networks are its network cards, without their addresses.
	Networks []NIC `json:"networks,omitempty"`
}

// ExportedFile is a disk, or a file that the instance boots.
type ExportedFile struct {
	Name string `json:"name"` // in the file
	// Device and SizeGiB are those of a disk: disk-0 is the first.
	Device  string `json:"device,omitempty"`
	SizeGiB int64  `json:"size_gib,omitempty"`
	ImageFile
}

// PreparedExport is an export that its host can give.
type PreparedExport struct {
	Export
	Bytes int64 `json:"bytes"` // how long its file is
}

// ExportID returns the id of an export: what has the same id is the same file, to
// the byte.
func ExportID(e *Export) (string, error) {
	bare := *e
	bare.ID = ""
	text, err := json.Marshal(&bare)
	if err != nil {
		return "", fmt.Errorf("encode export: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

var exportedName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)

// maxExportedFiles is every disk that an instance may have, kernel and initrd.
const maxExportedFiles = MaxDisks + 3

// Validate judges a manifest that somebody has brought.
func (e *Export) Validate() error {
	bad := func(format string, args ...any) error {
		return &Error{Code: CodeInvalid, Detail: "export: " + fmt.Sprintf(format, args...)}
	}
	if e.Format != ExportFormat {
		return bad("its format is %d, and this grapevine knows %d; use a newer one", e.Format, ExportFormat)
	}
	if id, err := ExportID(e); err != nil || id != e.ID {
		return bad("its id %.64q is not the digest of its manifest", e.ID)
	}
	if err := CheckName("name", e.Instance.Name); err != nil {
		return err
	}
	if err := e.Instance.Firmware.Validate(); err != nil {
		return err
	}
	if err := checkParts(e.Instance.Labels, e.Instance.Networks, nil, &Guest{}); err != nil {
		return err
	}
	if len(e.Files) == 0 || len(e.Files) > maxExportedFiles {
		return bad("it has %d files; it must be 1 to %d", len(e.Files), maxExportedFiles)
	}
	seen := map[string]bool{}
	for _, f := range e.Files {
		if !exportedName.MatchString(f.Name) || seen[f.Name] {
			return bad("file name %.80q is none, or there twice", f.Name)
		}
		seen[f.Name] = true
		if (f.Role == RoleDisk) != (f.Device != "") {
			return bad("file %s is %s of device %.40q", f.Name, f.Role, f.Device)
		}
	}
	for _, im := range e.Images() {
		if err := im.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Images are the images that the instance is made of anew: the first is what it
// boots, with its first disk, and each of the others is a further disk.
func (e *Export) Images() []Image {
	short := e.ID[:min(len(e.ID), 8)]
	first := Image{Name: fitName(e.Instance.Name, short), Cmdline: e.Instance.Cmdline}
	var further []Image
	for _, f := range e.Files {
		if f.Role == RoleDisk && f.Device != "disk-0" {
			im := Image{ID: f.SHA256, Name: fitName(e.Instance.Name, short+"-"+f.Device), Files: []ImageFile{f.ImageFile}, Bytes: f.Bytes}
			further = append(further, im)
			continue
		}
		first.Files = append(first.Files, f.ImageFile)
		first.Bytes += f.Bytes
	}
	if len(first.Files) == 0 {
		return further
	}
	first.ID = ImageID(first.Files, first.Cmdline)
	return append([]Image{first}, further...)
}

// fitName names a part of a thing, within the bound of names. What is too long by
// itself stays so, and is refused as a name.
func fitName(name, part string) string {
	room := max(MaxNameBytes-len(part)-1, 0)
	return strings.ToValidUTF8(name[:min(len(name), room)], "") + "-" + part
}

// File returns the exported file that is this file of an image.
func (e *Export) File(f ImageFile) (ExportedFile, bool) {
	for _, held := range e.Files {
		if held.Role == f.Role && held.SHA256 == f.SHA256 {
			return held, true
		}
	}
	return ExportedFile{}, false
}

// ExportRange is a part of the file of the export with this id.
type ExportRange struct {
	ID             string
	Offset, Length int64
}

package fleet

import "fmt"

// Firmware is what starts a machine that boots a disk or a CD.
type Firmware string

// The firmwares. Empty is the host's choice, which is BIOS.
const (
	BIOS Firmware = "bios"
	UEFI Firmware = "uefi"
)

// TraitUEFI is the trait of hosts that can give a machine UEFI firmware.
const TraitUEFI = "uefi"

// Validate judges a firmware as a person named it.
func (f Firmware) Validate() error {
	switch f {
	case "", BIOS, UEFI:
		return nil
	default:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("firmware %.40q is not one of bios, uefi", string(f))}
	}
}

package fleet

// ResizeInstance is the body of a request for another size.
type ResizeInstance struct {
	Flavor string `json:"flavor"` // by name
}

// Size is what a host is asked to make of an instance: the numbers that a
// flavor stood for where it was asked for. DiskGiB 0 leaves the disk as it is.
type Size struct {
	Flavor string `json:"flavor"`
	Resources
}

// Validate judges a size as it was sent.
func (s *Size) Validate() error {
	if err := CheckName("flavor", s.Flavor); err != nil {
		return err
	}
	return s.Resources.Validate()
}

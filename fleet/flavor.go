package fleet

// Flavor is a named size. Flavors are configuration, the same at every
// registry; a claim keeps the numbers, never the name.
type Flavor struct {
	Name string `json:"name" toml:"name"`
	Resources
}

// BuiltinFlavors exist unless they are configured away.
func BuiltinFlavors() []Flavor {
	return []Flavor{
		{Name: "nano", Resources: Resources{VCPUs: 1, MemoryMiB: 128}},
		{Name: "tiny", Resources: Resources{VCPUs: 1, MemoryMiB: 512}},
		{Name: "small", Resources: Resources{VCPUs: 1, MemoryMiB: 2048}},
		{Name: "medium", Resources: Resources{VCPUs: 2, MemoryMiB: 4096}},
		{Name: "large", Resources: Resources{VCPUs: 4, MemoryMiB: 8192}},
	}
}

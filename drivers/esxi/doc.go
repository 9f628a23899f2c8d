// Package esxi drives one ESXi host through its SOAP API, with govmomi. It
// talks to the host itself, never to a vCenter.
//
// What Grapevine keeps on the host lies in the folder grapevine of one
// datastore: images/<image id>/ with disk.vmdk and, written last, image.json;
// machines/<instance id>/ with a machine's own files. A machine's Mark is in
// its extra configuration, keys grapevine.mark (JSON) and
// grapevine.generation. A machine's id is its BIOS UUID, which Build sets; a
// Mark that names another id, as on a copied machine, is not believed.
//
// docs/esxi.md tells what has been seen on govmomi's simulator and what has
// not been seen on a real host.
package esxi

package cloudinit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// A seed is read by the few rules of ECMA-119 that it needs: whoever owns the
// storage may have written it, and what a library for discs at large believes of
// one is more than what is wanted of a seed.
const (
	sector          = 2048
	firstDescriptor = 16 // in sectors
	recordBytes     = 33 // of a directory record, before its name
	isFolder        = 1 << 1
	goesOn          = 1 << 7 // the content is in further records
)

var errDisc = errors.New("it is no ISO 9660 image, or a damaged one")

// discFiles returns those of the named files that lie in the root folder of an
// image. It takes no more memory than they are long.
func discFiles(image []byte, names ...string) (map[string]string, error) {
	root, err := rootFolder(image)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for len(root) > 0 {
		var here []byte
		here, root = root[:min(sector, len(root))], root[min(sector, len(root)):]
		for len(here) > 0 && here[0] != 0 { // no record crosses a sector
			size := int(here[0])
			if size < recordBytes || size > len(here) {
				return nil, errDisc
			}
			if err := takeFile(files, image, here[:size], names); err != nil {
				return nil, err
			}
			here = here[size:]
		}
	}
	return files, nil
}

// takeFile keeps what a record of the root folder tells of, if it is wanted.
func takeFile(files map[string]string, image, record []byte, names []string) error {
	end := recordBytes + int(record[recordBytes-1])
	if end > len(record) {
		return errDisc
	}
	name, _, _ := strings.Cut(string(record[recordBytes:end]), ";") // a version follows
	name = strings.TrimSuffix(name, ".")
	for _, wanted := range names {
		if _, there := files[wanted]; wanted != name || there || record[25]&isFolder != 0 {
			continue
		}
		content, err := extent(image, record)
		if err == nil && record[25]&goesOn != 0 || len(content) > maxText {
			err = fmt.Errorf("%s is longer than %d bytes", wanted, maxText)
		}
		if err != nil {
			return err
		}
		files[wanted] = string(content)
	}
	return nil
}

// rootFolder returns the directory records of an image's first primary volume.
func rootFolder(image []byte) ([]byte, error) {
	const primary, last, rootRecord = 1, 255, 156
	for at := firstDescriptor * sector; at+sector <= len(image); at += sector {
		descriptor := image[at : at+sector]
		if !bytes.Equal(descriptor[1:6], []byte("CD001")) || descriptor[0] == last {
			break
		}
		if descriptor[0] == primary {
			return extent(image, descriptor[rootRecord:rootRecord+recordBytes+1])
		}
	}
	return nil, errDisc
}

// extent returns the part of an image that a record points to: a sector's number
// at 2 and a length at 10, little-endian first.
func extent(image, record []byte) ([]byte, error) {
	from := int64(binary.LittleEndian.Uint32(record[2:])) * sector
	length := int64(binary.LittleEndian.Uint32(record[10:]))
	if from+length > int64(len(image)) {
		return nil, errDisc
	}
	return image[from : from+length], nil
}

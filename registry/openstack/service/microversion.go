package service

import (
	"fmt"
	"strconv"
	"strings"

	"grapevine/fleet"
)

// Microversion is a version of a service's API, such as 2.1.
type Microversion struct{ Major, Minor int }

// String writes it as headers do; the zero one is empty.
func (v Microversion) String() string {
	if v == (Microversion{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d", v.Major, v.Minor)
}

// AtLeast reports whether it has what came with 2.minor.
func (v Microversion) AtLeast(minor int) bool { return v.Minor >= minor }

// Span is the microversions that a service has, of one major version.
type Span struct{ Min, Max Microversion }

// ErrNotAcceptable is of a microversion that the service does not have.
var ErrNotAcceptable = &fleet.Error{Code: "not_acceptable"}

// Read reads a microversion that a client asked for: "latest", or one of the span.
// The empty one is the lowest.
func (s Span) Read(text string) (Microversion, error) {
	switch text {
	case "":
		return s.Min, nil
	case "latest":
		return s.Max, nil
	}
	major, minor, ok := strings.Cut(text, ".")
	a, errMajor := strconv.Atoi(major)
	b, errMinor := strconv.Atoi(minor)
	if !ok || errMajor != nil || errMinor != nil || a < 0 || b < 0 || strconv.Itoa(a) != major || strconv.Itoa(b) != minor {
		return s.Min, Fail(fleet.CodeBadRequest, fmt.Sprintf("API Version String %.20q is of invalid format. It must be of format MajorNum.MinorNum.", text))
	}
	if a != s.Min.Major || b < s.Min.Minor || b > s.Max.Minor {
		return s.Min, Fail(ErrNotAcceptable.Code, fmt.Sprintf("Version %s is not supported by the API. Minimum is %s and maximum is %s.", text, s.Min, s.Max))
	}
	return Microversion{a, b}, nil
}

// Asked returns the microversion in the header OpenStack-API-Version, whose values
// are of a service type and a version, for this service; empty where there is none.
func Asked(values []string, service string) string {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			name, version, ok := strings.Cut(strings.TrimSpace(part), " ")
			if ok && strings.EqualFold(name, service) {
				return strings.TrimSpace(version)
			}
		}
	}
	return ""
}

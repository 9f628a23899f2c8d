package service

import (
	"errors"
	"net/http"

	"grapevine/fleet"
)

// statuses are the HTTP statuses of the core's errors as clients of OpenStack
// expect them.
var statuses = map[fleet.Code]int{
	fleet.CodeBadRequest:       http.StatusBadRequest,
	fleet.CodeInvalid:          http.StatusBadRequest,
	fleet.CodeUnknownFilter:    http.StatusBadRequest,
	fleet.CodeUnknownFlavor:    http.StatusBadRequest,
	fleet.CodeUnknownImage:     http.StatusBadRequest,
	fleet.CodeUnknownGroup:     http.StatusBadRequest,
	fleet.CodeUnknownKeyPair:   http.StatusBadRequest,
	fleet.CodeMisdirected:      http.StatusBadRequest,
	fleet.CodeTooLarge:         http.StatusRequestEntityTooLarge,
	fleet.CodeUnauthenticated:  http.StatusUnauthorized,
	fleet.CodeForbidden:        http.StatusForbidden,
	fleet.CodeNotFound:         http.StatusNotFound,
	fleet.CodeGone:             http.StatusNotFound,
	fleet.CodeMethodNotAllowed: http.StatusMethodNotAllowed,
	ErrNotAcceptable.Code:      http.StatusNotAcceptable,
	fleet.CodeAmbiguous:        http.StatusConflict,
	fleet.CodeNotManaged:       http.StatusConflict,
	fleet.CodeBusy:             http.StatusConflict,
	fleet.CodeConflict:         http.StatusConflict,
	fleet.CodeSuperseded:       http.StatusConflict,
	fleet.CodeTwin:             http.StatusConflict,
	fleet.CodeQuarantined:      http.StatusConflict,
	fleet.CodeRefused:          http.StatusConflict,
	fleet.CodeKeyReused:        http.StatusConflict,
	fleet.CodeNameTaken:        http.StatusConflict,
	fleet.CodeTooMany:          http.StatusTooManyRequests,
	fleet.CodeUnsupported:      http.StatusNotImplemented,
	fleet.CodeOutcomeUnknown:   http.StatusGatewayTimeout,
}

// statusOf returns an error's status. What keeps the fleet from answering is 503,
// what nobody gave a code is a fault of the registry's own.
func statusOf(err error) int {
	known, ok := errors.AsType[*fleet.Error](err)
	switch {
	case !ok, known.Code == fleet.CodeInternal:
		return http.StatusInternalServerError
	case statuses[known.Code] != 0:
		return statuses[known.Code]
	default:
		return http.StatusServiceUnavailable
	}
}

// detailOf is what a client is told.
func detailOf(err error) string {
	if known, ok := errors.AsType[*fleet.Error](err); ok {
		return known.Detail
	}
	return "Unexpected API Error. The registry's log says more."
}

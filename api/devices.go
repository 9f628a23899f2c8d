package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type devicesIn struct {
	ID string `path:"id" doc:"the instance's id"`
}

type attachIn struct {
	InstanceMutation
	Body fleet.AttachRequest
}

type deviceIn struct {
	InstanceMutation
	Name string `path:"name" doc:"the device's name"`
}

type growIn struct {
	InstanceMutation
	Name string `path:"name" doc:"the disk's name"`
	Body fleet.GrowRequest
}

func (s *server) addDevices() {
	add(s, route{
		method: http.MethodGet, path: "/v1/instances/{id}/devices", id: "list-devices", tag: "devices", summary: "List the devices of an instance",
		description: "Its host is asked: disks, then network cards, then CDs.",
	}, s.listDevices)
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/devices", id: "attach-device", tag: "devices", status: http.StatusAccepted, summary: "Attach a disk, a network card or a CD to an instance",
		description: "Whether it runs or not; an empty disk of size_gib, a card on network, or the ISO of image. " + about,
	}, s.attachDevice)
	add(s, route{
		method: http.MethodDelete, path: "/v1/instances/{id}/devices/{name}", id: "detach-device", tag: "devices", status: http.StatusAccepted, summary: "Detach a device from an instance",
		description: "A disk is removed with what is on it; the first one stays. The guest of an instance that runs must let go of it. " + about,
	}, s.detachDevice)
	add(s, route{
		method: http.MethodPost, path: "/v1/instances/{id}/devices/{name}/grow", id: "grow-disk", tag: "devices", status: http.StatusAccepted, summary: "Make a disk of an instance larger",
		description: "Its partitions are the guest's business. " + about,
	}, s.growDisk)
}

func (s *server) listDevices(ctx context.Context, in *devicesIn) (*out[fleet.DeviceList], error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	devices, err := s.reads(ctx).Devices(ctx, id)
	if err != nil {
		return nil, err
	}
	devices.Items = list(devices.Items)
	return &out[fleet.DeviceList]{devices}, nil
}

func (s *server) attachDevice(ctx context.Context, in *attachIn) (*acceptedOut, error) {
	return s.changeDevice(ctx, &in.InstanceMutation, fleet.DeviceChange{Verb: fleet.AttachDevice, Device: in.Body})
}

func (s *server) detachDevice(ctx context.Context, in *deviceIn) (*acceptedOut, error) {
	return s.changeDevice(ctx, &in.InstanceMutation, fleet.DeviceChange{Verb: fleet.DetachDevice, Name: in.Name})
}

func (s *server) growDisk(ctx context.Context, in *growIn) (*acceptedOut, error) {
	change := fleet.DeviceChange{Verb: fleet.GrowDisk, Name: in.Name}
	change.Device.SizeGiB = in.Body.SizeGiB
	return s.changeDevice(ctx, &in.InstanceMutation, change)
}

func (s *server) changeDevice(ctx context.Context, in *InstanceMutation, change fleet.DeviceChange) (*acceptedOut, error) {
	return s.mutate(ctx, in, func(id fleet.InstanceID) (fleet.Accepted, error) {
		if err := change.Validate(); err != nil {
			return fleet.Accepted{}, err
		}
		if change.Device.SizeGiB > 0 {
			if err := s.atRegistry(ctx); err != nil {
				return fleet.Accepted{}, err
			}
		}
		return s.core.ChangeDevice(ctx, id, change)
	})
}

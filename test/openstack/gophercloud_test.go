package openstack

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
)

// provider logs the member in.
func provider(t *testing.T) *gophercloud.ProviderClient {
	t.Helper()
	p, err := openstack.AuthenticatedClient(t.Context(), gophercloud.AuthOptions{
		IdentityEndpoint: address + "/identity/v3", Username: member.user, Password: member.password, DomainName: "Default",
		Scope: &gophercloud.AuthScope{ProjectName: member.project, DomainName: "Default"}, AllowReauth: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var anyRegion = gophercloud.EndpointOpts{Region: "RegionOne"}

// only returns the one thing that a list is of.
func only[T any](t *testing.T, found []T, err error) T {
	t.Helper()
	if err != nil || len(found) != 1 {
		t.Fatalf("%d found, %v", len(found), err)
	}
	return found[0]
}

// TestGophercloudCreatesWaitsAndDeletes does what declarative tools do by it.
func TestGophercloudCreatesWaitsAndDeletes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	p := provider(t)
	compute, err := openstack.NewComputeV2(p, anyRegion)
	if err != nil {
		t.Fatal(err)
	}
	imageService, err := openstack.NewImageV2(p, anyRegion)
	if err != nil {
		t.Fatal(err)
	}
	networkService, err := openstack.NewNetworkV2(p, anyRegion)
	if err != nil {
		t.Fatal(err)
	}
	page, err := images.List(imageService, images.ListOpts{Name: "tiny"}).AllPages(ctx)
	if err != nil {
		t.Fatal(err)
	}
	found, err := images.ExtractImages(page)
	image := only(t, found, err)
	netPage, err := networks.List(networkService, networks.ListOpts{Name: "default"}).AllPages(ctx)
	if err != nil {
		t.Fatal(err)
	}
	nets, err := networks.ExtractNetworks(netPage)
	network := only(t, nets, err)
	flavor, err := flavors.Get(ctx, compute, "tiny").Extract()
	if err != nil || flavor.RAM != 512 {
		t.Fatalf("%+v, %v", flavor, err)
	}
	created, err := servers.Create(ctx, compute, servers.CreateOpts{
		Name: "gopher", ImageRef: image.ID, FlavorRef: flavor.ID, Networks: []servers.Network{{UUID: network.ID}}, Metadata: map[string]string{"tier": "db"}, UserData: []byte("#cloud-config\n"),
	}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if err := servers.WaitForStatus(ctx, compute, created.ID, "ACTIVE"); err != nil {
		t.Fatal(err)
	}
	got, err := servers.Get(ctx, compute, created.ID).Extract()
	if err != nil || got.Name != "gopher" || got.Metadata["tier"] != "db" || got.Image["id"] != image.ID || got.Flavor["id"] != "tiny" || got.TenantID != "demo" || time.Since(got.Created) > time.Hour || got.LaunchedAt.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if err := servers.Stop(ctx, compute, created.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	if err := servers.WaitForStatus(ctx, compute, created.ID, "SHUTOFF"); err != nil {
		t.Fatal(err)
	}
	if err := servers.Delete(ctx, compute, created.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	for {
		_, err := servers.Get(ctx, compute, created.ID).Extract()
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			break
		}
		if err != nil || ctx.Err() != nil {
			t.Fatalf("after the delete: %v", err)
		}
	}
}

// TestATokenIsValidatedAndRevoked has a program judge a token, and take it back: it
// is 401 then, and the client logs in again by itself.
func TestATokenIsValidatedAndRevoked(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	p := provider(t)
	identity, err := openstack.NewIdentityV3(p, anyRegion)
	if err != nil {
		t.Fatal(err)
	}
	first := p.TokenID
	if len(first) > 2048 {
		t.Errorf("a token of %d bytes goes with every request", len(first))
	}
	judged := tokens.Get(ctx, identity, first)
	user, err := judged.ExtractUser()
	if err != nil || user.Name != "demo" || user.Domain.ID != "default" {
		t.Errorf("%+v, %v", user, err)
	}
	if token, err := judged.ExtractToken(); err != nil || time.Until(token.ExpiresAt) < time.Minute {
		t.Errorf("%+v, %v", token, err)
	}
	if err := tokens.Revoke(ctx, identity, first).Err; err != nil {
		t.Fatal(err)
	}
	compute, err := openstack.NewComputeV2(p, anyRegion)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flavors.Get(ctx, compute, "tiny").Extract(); err != nil {
		t.Errorf("after its token was revoked: %v", err)
	}
	if p.TokenID == first {
		t.Error("the revoked token is taken still")
	}
}

package compute

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/registry/openstack/service"
)

func (n *nova) deleteServer(c *service.Call) (service.Reply, error) {
	i, err := find(c)
	if err != nil {
		return service.Reply{}, err
	}
	done, err := c.Core.DeleteInstance(c.Context(), i.ID)
	if err != nil {
		return service.Reply{}, err
	}
	seen(c, done.Version)
	return service.Reply{Status: http.StatusNoContent}, nil
}

// action is something that is done to a server.
type action func(c *service.Call, i *fleet.Instance, argument json.RawMessage) (service.Reply, error)

// actions are those that are served, by the key of the body (Compute API reference,
// "Servers - run an action").
var actions = map[string]action{
	"os-start":            power(fleet.Start),
	"os-stop":             power(fleet.Stop),
	"pause":               power(fleet.Pause),
	"unpause":             power(fleet.Resume),
	"reboot":              reboot,
	"os-getConsoleOutput": consoleOutput,
}

func (n *nova) act(c *service.Call) (service.Reply, error) {
	body := map[string]json.RawMessage{}
	if err := c.Body(&body); err != nil {
		return service.Reply{}, err
	}
	if len(body) != 1 {
		return service.Reply{}, bad("Give one action.")
	}
	i, err := find(c)
	if err != nil {
		return service.Reply{}, err
	}
	for name, argument := range body {
		if do := actions[name]; do != nil {
			return do(c, &i, argument)
		}
		return service.Reply{}, service.Fail(fleet.CodeUnsupported, "Action "+firstOf(name)+" is not served.")
	}
	return service.Reply{}, nil
}

// firstOf bounds what is repeated of a client's.
func firstOf(text string) string { return text[:min(len(text), 60)] }

// power does what takes no argument.
func power(what fleet.InstanceAction) action {
	return func(c *service.Call, i *fleet.Instance, _ json.RawMessage) (service.Reply, error) {
		return done(c, i, what, api.ActOptions{})
	}
}

func done(c *service.Call, i *fleet.Instance, what fleet.InstanceAction, opts api.ActOptions) (service.Reply, error) {
	accepted, err := c.Core.ActInstance(c.Context(), i.ID, what, opts)
	if err != nil {
		return service.Reply{}, err
	}
	seen(c, accepted.Version)
	return service.Reply{Status: http.StatusAccepted}, nil
}

func reboot(c *service.Call, i *fleet.Instance, argument json.RawMessage) (service.Reply, error) {
	var how struct{ Type string }
	if err := service.Decode(argument, &how); err != nil {
		return service.Reply{}, err
	}
	switch strings.ToUpper(how.Type) {
	case "SOFT", "HARD":
		return done(c, i, fleet.Reboot, api.ActOptions{Force: strings.EqualFold(how.Type, "HARD")})
	}
	return service.Reply{}, bad("The type of a reboot is SOFT or HARD.")
}

// maxConsole bounds what is read of a console's log in one answer.
const maxConsole = 1 << 20

// consoleOutput answers the last lines of the console's log, all that fit where no
// number of lines is asked for.
func consoleOutput(c *service.Call, i *fleet.Instance, argument json.RawMessage) (service.Reply, error) {
	var asked struct{ Length *json.Number }
	if err := service.Decode(argument, &asked); err != nil {
		return service.Reply{}, err
	}
	log, err := c.Core.InstanceLog(c.Context(), i.ID, fleet.LogRange{Tail: maxConsole})
	if err != nil {
		return service.Reply{}, err
	}
	defer log.Close()
	content, err := io.ReadAll(io.LimitReader(log, maxConsole))
	if err != nil {
		return service.Reply{}, err
	}
	text := strings.ToValidUTF8(string(content), "\uFFFD")
	if asked.Length != nil {
		lines, err := asked.Length.Int64()
		if err != nil || lines < -1 {
			return service.Reply{}, bad("length is a whole number of lines.")
		}
		if lines >= 0 {
			text = lastLines(text, int(min(lines, maxConsole)))
		}
	}
	return service.OK(map[string]any{"output": text})
}

func lastLines(text string, n int) string {
	if n == 0 {
		return ""
	}
	at := len(strings.TrimSuffix(text, "\n"))
	for ; n > 0 && at >= 0; n-- {
		at = strings.LastIndexByte(text[:at], '\n')
	}
	return text[at+1:]
}

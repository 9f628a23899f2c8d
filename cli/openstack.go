package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) openstackCommand() []*cobra.Command {
	return []*cobra.Command{group("openstack", "Help clients of OpenStack find a registry", []*cobra.Command{a.openrcCommand()})}
}

func (a *app) openrcCommand() *cobra.Command {
	var user, project string
	cmd := &cobra.Command{
		Use: "openrc", Short: "Print the environment that clients of OpenStack need", Args: takes(),
		Long: "Print the environment that clients of OpenStack need to log in at a registry which has [frontend.openstack], as\n" +
			"lines for a shell: . <(grapevine openstack openrc --user NAME). They ask for the password, unless OS_PASSWORD has it.",
	}
	cmd.Flags().StringVar(&user, "user", "", "who logs in")
	cmd.Flags().StringVar(&project, "project", "", "the project to work in (default: the user's name)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := need(cmd, "user"); err != nil {
			return err
		}
		if project == "" {
			project = user
		}
		_, err := fmt.Fprintf(a.out, `export OS_AUTH_URL=%s
export OS_IDENTITY_API_VERSION=3
export OS_USERNAME=%[2]s
export OS_PROJECT_NAME=%[3]s
export OS_USER_DOMAIN_NAME=Default
export OS_PROJECT_DOMAIN_NAME=Default
if [ -z "$OS_PASSWORD" ]; then
  printf 'Password of %%s: ' %[2]s >&2
  stty -echo; read -r OS_PASSWORD </dev/tty; stty echo; echo >&2
fi
export OS_PASSWORD
`, quoted(strings.TrimSuffix(cmp.Or(a.setting(a.addr, "GRAPEVINE_ADDR"), a.defaultAddr), "/")+"/identity/v3"), quoted(user), quoted(project))
		return err
	}
	return cmd
}

// quoted is a text as a shell takes it for one word.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\\''`) + "'" }

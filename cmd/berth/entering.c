// SPDX-License-Identifier: Apache-2.0

// Which command lines of berth have to be in the user namespace. Package rootless asks before the Go runtime starts.

#include <stdbool.h>
#include <string.h>

bool berth_must_enter(int argc, char **argv);

// Commands that create or change layers, or make processes in the user namespace.
// root_test.go compares the list with the annotations of the command tree.
static const char *const entering[] = {
	"build", "build-worker", "checkpoint", "cleanup", "clone", "commit", "containerfile", "cp", "create", "diff", "export", "history", "import", "info", "init", "load",
	"partial", "prune", "pull", "push", "restart", "restore", "rm", "rmi", "run", "save", "start", "tag", "unshare", "untag",
	NULL,
};
static const char *const groups[] = { "container", "image", "system", "buildx", "builder", "volume", "network", NULL };
static const char *const bool_flags[] = { "--help", "--noout", "--version", "--syslog", "--transient-store", NULL };

static bool listed(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

// wants_owners finds out whether `volume create` is to give the volume to somebody, or to fill it from an image.
static bool wants_owners(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(argv[i], "uid") || strstr(argv[i], "gid") || strstr(argv[i], "image"))
			return true;
	return false;
}

// The first words that are no flag decide; a global flag without "=" takes the next word along.
bool berth_must_enter(int argc, char **argv)
{
	const char *group = NULL;
	for (int i = 1; i < argc; i++) {
		const char *w = argv[i];
		if (w[0] == '-' && w[1] != 0) {
			if (w[1] == '-' && !strchr(w, '=') && !listed(bool_flags, w) && !group)
				i++;
			continue;
		}
		if (!group && listed(groups, w)) {
			group = w;
			continue;
		}
		if (group && strcmp(group, "system") == 0)
			return strcmp(w, "boot") == 0 || strcmp(w, "check") == 0 || strcmp(w, "df") == 0 || strcmp(w, "prune") == 0 || strcmp(w, "info") == 0 || strcmp(w, "reset") == 0;
		if (group && strcmp(group, "volume") == 0)
			return strcmp(w, "rm") == 0 || strcmp(w, "prune") == 0 || strcmp(w, "export") == 0 || strcmp(w, "import") == 0 || strcmp(w, "stats") == 0 || strcmp(w, "reload") == 0 ||
				(strcmp(w, "create") == 0 && wants_owners(argc - i, argv + i));
		if (group && strcmp(group, "network") == 0)
			return strcmp(w, "check") == 0; // it makes a network namespace
		if (group && strcmp(group, "image") == 0 && (strcmp(w, "build") == 0 || strcmp(w, "history") == 0))
			return strcmp(w, "build") == 0;
		return listed(entering, w) && strcmp(w, "history") != 0;
	}
	return false;
}

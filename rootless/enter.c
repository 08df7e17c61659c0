// SPDX-License-Identifier: Apache-2.0

// Enters the user namespace and a private mount namespace before the Go runtime starts: setns(2)
// and unshare(2) of a user namespace need a process of one thread, and executing the program a
// second time would cost as much again as the whole command. The contract is in enter.h.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "enter.h"

struct berth_entry berth_entry;

static int fail(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(berth_entry.error, sizeof berth_entry.error, format, ap);
	va_end(ap);
	return -1;
}

static int fail_hint(const char *hint)
{
	snprintf(berth_entry.hint, sizeof berth_entry.hint, "%s", hint);
	return -1;
}

// A program that enters for some of its command lines only has its own, as cmd/berth has (entering.c).
__attribute__((weak)) bool berth_must_enter(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return false;
}

// runtime_dir makes and opens the directory that the user's commands meet in.
static int runtime_dir(void)
{
	char path[512];
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	uid_t uid = geteuid();

	if (xdg && xdg[0] == '/') {
		if (stat(xdg, &st) == 0 && ((st.st_uid != uid && st.st_uid != 0) || ((st.st_mode & 022) && !(st.st_mode & S_ISVTX)))) {
			fail("XDG_RUNTIME_DIR: the directory %s belongs to another user, or others may write to it", xdg);
			if (st.st_uid == uid)
				return fail_hint("make it yours alone with: chmod 700 \"$XDG_RUNTIME_DIR\"");
			return fail_hint("set XDG_RUNTIME_DIR to a directory of your own with mode 0700, or unset it");
		}
		snprintf(path, sizeof path, "%s/berth", xdg);
	} else {
		snprintf(path, sizeof path, "/run/user/%u", uid);
		if (stat(path, &st) == 0 && st.st_uid == uid)
			snprintf(path, sizeof path, "/run/user/%u/berth", uid);
		else
			snprintf(path, sizeof path, "/tmp/berth-run-%u", uid);
	}
	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		fail("make the runtime directory %s: %s", path, strerror(errno));
		return fail_hint("set XDG_RUNTIME_DIR to a directory of your own with mode 0700");
	}
	int fd = open(path, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		fail("open the runtime directory %s: %s", path, strerror(errno));
		return fail_hint("set XDG_RUNTIME_DIR to a directory of your own with mode 0700; what another user has made in your place, root may remove");
	}
	if (st.st_uid != uid || (st.st_mode & 022)) {
		close(fd);
		fail("the runtime directory %s belongs to another user, or others may write to it", path);
		return fail_hint("set XDG_RUNTIME_DIR to a directory of your own with mode 0700; what another user has made in your place, root may remove");
	}
	return fd;
}

// ns_ino gives the user namespace of a process as a file and its inode; -1 if there is no such process.
static int open_userns(const char *pid, ino_t *ino)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%s/ns/user", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0) {
		close(fd);
		return -1;
	}
	*ino = st.st_ino;
	return fd;
}

static ssize_t read_map(const char *pid, char *buf, size_t size)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%s/uid_map", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, buf, size - 1);
	close(fd);
	if (n >= 0)
		buf[n] = 0;
	return n;
}

// The file "userns" names a process in the namespace, the namespace's inode, and its uid_map: inode
// numbers are used again, so the map has to be the same too.
struct known {
	char pid[16];
	ino_t ino;
	char map[1024];
};

static bool read_known(int dir, struct known *k)
{
	char buf[1200];
	int fd = openat(dir, "userns", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, buf, sizeof buf - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = 0;
	unsigned long ino;
	const char *map = strchr(buf, '\n');
	if (!map || sscanf(buf, "%15s %lu", k->pid, &ino) != 2)
		return false;
	k->ino = ino;
	snprintf(k->map, sizeof k->map, "%s", map + 1); // with the blanks that its first line begins with
	return true;
}

static void write_known(int dir, const char *pid, ino_t ino, const char *map)
{
	char tmp[64], buf[1200];
	snprintf(tmp, sizeof tmp, ".userns-%d", getpid());
	int n = snprintf(buf, sizeof buf, "%s %lu\n%s", pid, (unsigned long)ino, map);
	int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return; // the next command makes a namespace of its own
	ssize_t w = write(fd, buf, n);
	close(fd);
	if (w != n || renameat(dir, tmp, dir, "userns") != 0)
		unlinkat(dir, tmp, 0);
}

// matching opens the namespace of a process if it is the known one.
static int matching(const char *pid, const struct known *k)
{
	ino_t ino;
	char map[1024];
	int fd = open_userns(pid, &ino);
	if (fd < 0)
		return -1;
	if (ino == k->ino && read_map(pid, map, sizeof map) > 0 && strcmp(map, k->map) == 0)
		return fd;
	close(fd);
	return -1;
}

// search finds any process of ours in the known namespace: the one that the file names has ended.
static int search(int dir, const struct known *k)
{
	DIR *proc = opendir("/proc");
	if (!proc)
		return -1;
	struct dirent *e;
	int fd = -1;
	while (fd < 0 && (e = readdir(proc)))
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9') {
			fd = matching(e->d_name, k);
			if (fd >= 0)
				write_known(dir, e->d_name, k->ino, k->map);
		}
	closedir(proc);
	return fd;
}

static int private_mounts(void)
{
	if (unshare(CLONE_NEWNS) != 0)
		return fail("make a mount namespace: %s", strerror(errno));
	// rslave: what the host mounts later is seen, what Berth mounts stays here
	if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
		return fail("make the mounts private: %s", strerror(errno));
	return 0;
}

static int join(int fd)
{
	int r = setns(fd, CLONE_NEWUSER);
	int e = errno;
	close(fd);
	if (r != 0)
		return fail("join Berth's user namespace: %s", strerror(e));
	return private_mounts();
}

// has_ids reports whether this user namespace, which may be a container's, maps all IDs of a range.
static bool has_ids(unsigned long first, unsigned long count)
{
	char map[1024], *line, *save;
	if (read_map("self", map, sizeof map) <= 0)
		return false;
	for (line = strtok_r(map, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long inside, outside, size;
		if (sscanf(line, "%lu %lu %lu", &inside, &outside, &size) == 3 && first >= inside && first + count <= inside + size)
			return true;
	}
	return false;
}

// nested reports whether this process is in a user namespace other than the first: in a container, most likely.
static bool nested(void)
{
	return !has_ids(0, 4294967295UL);
}

// may_mount reports whether this process has the rights to mount and to set up networks. Root in a container often lacks them.
static bool may_mount(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &head, data) != 0)
		return true;
	unsigned want = 1U << CAP_SYS_ADMIN | 1U << CAP_NET_ADMIN;
	return (data[0].effective & want) == want;
}

// ask_getent has getent find a user who is not in /etc/passwd.
static void ask_getent(uid_t uid, char *name, size_t size)
{
	char number[16];
	int out[2], status;
	snprintf(number, sizeof number, "%u", uid);
	if (pipe2(out, O_CLOEXEC) != 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		execlp("getent", "getent", "passwd", number, NULL);
		_exit(127);
	}
	close(out[1]);
	FILE *f = fdopen(out[0], "r");
	struct passwd *pw = f && pid > 0 ? fgetpwent(f) : NULL;
	if (pw && pw->pw_uid == uid)
		snprintf(name, size, "%s", pw->pw_name);
	if (f)
		fclose(f);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

// user_name is the user's name, empty if he has none. It is not getpwuid's: berth is linked statically (docs/decisions/0047), and the
// C library has shared libraries look users up.
static const char *user_name(uid_t uid)
{
	static char name[256];
	struct passwd *pw;
	FILE *f = fopen("/etc/passwd", "re");
	while (f && (pw = fgetpwent(f)))
		if (pw->pw_uid == uid) {
			snprintf(name, sizeof name, "%s", pw->pw_name);
			break;
		}
	if (f)
		fclose(f);
	if (!name[0])
		ask_getent(uid, name, sizeof name);
	return name;
}

// subids appends the user's ranges in /etc/subuid or /etc/subgid as "inside outside count" words; it
// returns their number.
static int subids(const char *file, const char *name, uid_t uid, char args[][24], int max)
{
	char line[512], number[16];
	int words = 0;
	unsigned long inside = 1;
	FILE *f = fopen(file, "re");
	if (!f)
		return 0;
	snprintf(number, sizeof number, "%u", uid);
	while (fgets(line, sizeof line, f) && words + 3 <= max) {
		char *save, *who = strtok_r(line, ":", &save), *start = strtok_r(NULL, ":", &save), *count = strtok_r(NULL, ":\n", &save);
		if (!who || !start || !count || (strcmp(who, name) != 0 && strcmp(who, number) != 0))
			continue;
		unsigned long s = strtoul(start, NULL, 10), c = strtoul(count, NULL, 10);
		if (s == 0 || c == 0 || !has_ids(s, c))
			continue;
		snprintf(args[words++], 24, "%lu", inside);
		snprintf(args[words++], 24, "%lu", s);
		snprintf(args[words++], 24, "%lu", c);
		inside += c;
	}
	fclose(f);
	return words;
}

#define MAX_WORDS 60

// start_mapper starts newuidmap or newgidmap for this process, held back until a byte comes through
// *go; what it prints goes to *err.
static pid_t start_mapper(const char *program, unsigned id, char words[][24], int n, int *go, int *err)
{
	char *argv[MAX_WORDS + 8], target[16], self[16];
	int in[2], out[2], a = 0;
	snprintf(target, sizeof target, "%d", getpid());
	snprintf(self, sizeof self, "%u", id);
	argv[a++] = (char *)program;
	argv[a++] = target;
	argv[a++] = "0";
	argv[a++] = self;
	argv[a++] = "1";
	for (int i = 0; i < n; i++)
		argv[a++] = words[i];
	argv[a] = NULL;
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		close(in[1]);
		if (read(in[0], &byte, 1) != 1)
			_exit(1);
		dup2(out[1], 2);
		execvp(program, argv);
		dprintf(2, "%s: %s", program, strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	close(in[0]);
	close(out[1]);
	*go = in[1];
	*err = out[0];
	return pid;
}

static void release_mapper(int go)
{
	(void)!write(go, "x", 1); // its reader waits for this byte, and cannot have gone
	close(go);
}

static int finish_mapper(const char *program, pid_t pid, int err)
{
	char said[256];
	int status;
	ssize_t n = 0, r;
	while (n < (ssize_t)sizeof said - 1 && (r = read(err, said + n, sizeof said - 1 - n)) > 0)
		n += r;
	close(err);
	said[n] = 0;
	if (n > 0 && said[n - 1] == '\n')
		said[n - 1] = 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail("wait for %s: %s", program, strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		fail("map the subordinate IDs of /etc/subuid and /etc/subgid: %s is not installed", program);
		return fail_hint("install it with: sudo apt-get install uidmap");
	}
	fail("map the subordinate IDs of /etc/subuid and /etc/subgid: %s", said[0] ? said : program);
	return fail_hint("check that newuidmap and newgidmap are setuid root, and that this user's ranges in /etc/subuid and /etc/subgid do not overlap another's");
}

// await_maps waits until both maps are written: a wrapper script may leave newuidmap in the background.
static int await_maps(void)
{
	char map[1024];
	for (int tries = 0; tries < 5000; tries++) {
		int fd = open("/proc/self/gid_map", O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, map, sizeof map);
		if (fd >= 0)
			close(fd);
		if (n > 0 && read_map("self", map, sizeof map) > 0)
			return 0;
		usleep(1000);
	}
	return -1;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

// Without subordinate IDs only one ID can be mapped, and that without help.
static int map_single(uid_t uid, gid_t gid)
{
	char map[1024];
	bool uids = read_map("self", map, sizeof map) > 0; // newuidmap did it, and newgidmap failed
	snprintf(map, sizeof map, "0 %u 1", uid);
	// user_namespaces(7): setgroups has to be denied before an unprivileged process may write gid_map
	if (write_file("/proc/self/setgroups", "deny") != 0 || (!uids && write_file("/proc/self/uid_map", map) != 0))
		return fail("map user %u: %s", uid, strerror(errno)), uid == 0 ? // user_namespaces(7), since Linux 5.12
			fail_hint("root without capabilities: have the engine outside give this container --cap-add SETFCAP --cap-add SYS_CHROOT, or another --user") : -1;
	snprintf(map, sizeof map, "0 %u 1", gid);
	if (write_file("/proc/self/gid_map", map) != 0)
		return fail("map group %u: %s", gid, strerror(errno));
	if (uids && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0))
		return fail("become root of the user namespace: %s", strerror(errno));
	berth_entry.single = 1;
	return 0;
}

// restricted tells whether AppArmor takes the rights in a new user namespace from programs without a profile, as Ubuntu has it
// since 23.10: the namespace can be made, and nothing be done in it.
static bool restricted(void)
{
	char c = 0;
	int fd = open("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, &c, 1) != 1)
		c = 0;
	if (fd >= 0)
		close(fd);
	return c == '1';
}

static int hint_restricted(void)
{
	return fail_hint("AppArmor lets only programs with a profile use user namespaces here: give Berth one, as docs/security.md says (\"On Ubuntu\"), or allow it to all: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0");
}

static int unshare_user(void)
{
	if (unshare(CLONE_NEWUSER) == 0)
		return 0;
	fail("make a user namespace: %s", strerror(errno));
	if (errno == ENOSPC || errno == EUSERS)
		return fail_hint("allow user namespaces: sudo sysctl user.max_user_namespaces=28633");
	if (nested() || geteuid() == 0)
		return fail_hint("in a container: have the engine outside allow user namespaces with --security-opt seccomp=unconfined, or give CAP_SYS_ADMIN; see docs/nested.md");
	if (restricted())
		return hint_restricted();
	return fail_hint("allow user namespaces for ordinary users: sudo sysctl kernel.unprivileged_userns_clone=1");
}

// keep_ids is for root of a container without CAP_SYS_ADMIN: a process of the namespace above, which has CAP_SETUID there, maps
// for this one all the IDs that it has, to themselves.
static int keep_ids(void)
{
	int in[2], status;
	char byte, path[64], pid[16], text[1024];
	snprintf(pid, sizeof pid, "%d", getpid());
	if (pipe2(in, O_CLOEXEC) != 0)
		return -1;
	pid_t child = fork();
	if (child == 0) {
		const char *files[] = {"uid_map", "gid_map"};
		close(in[1]);
		if (read(in[0], &byte, 1) != 1)
			_exit(1);
		for (int i = 0; i < 2; i++) {
			unsigned long inside, outside, size;
			size_t n = 0;
			snprintf(path, sizeof path, "/proc/self/%s", files[i]);
			FILE *f = fopen(path, "re");
			while (f && n < sizeof text - 64 && fscanf(f, "%lu %lu %lu", &inside, &outside, &size) == 3)
				if (size == 4294967295UL) // in two lines: crun takes a map like the first namespace's for it
					n += snprintf(text + n, sizeof text - n, "0 0 1\n1 1 %lu\n", size - 1);
				else
					n += snprintf(text + n, sizeof text - n, "%lu %lu %lu\n", inside, inside, size);
			snprintf(path, sizeof path, "/proc/%s/%s", pid, files[i]);
			if (n == 0 || write_file(path, text) != 0)
				_exit(1);
		}
		_exit(0);
	}
	close(in[0]);
	if (child < 0 || unshare_user() != 0) {
		close(in[1]);
		if (child > 0)
			waitpid(child, NULL, 0);
		return -1;
	}
	release_mapper(in[1]);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return map_single(0, 0);
	return 0;
}

// What is under way between the constructor and berth_finish_enter.
static struct {
	pid_t newuidmap, newgidmap;
	int err[2];        // what they print
	int dir, lock;     // the runtime directory, and the lock of its file "userns"
	bool in_container;
} mapping = {.dir = -1, .lock = -1};

// create makes a user namespace. Where newuidmap and newgidmap have to map its IDs, it does not wait for them: berth_entry.mapping is set.
static int create(void)
{
	static char uids[MAX_WORDS][24], gids[MAX_WORDS][24];
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (uid == 0)
		return keep_ids();
	mapping.in_container = nested();
	const char *name = user_name(uid);
	int nu = subids("/etc/subuid", name, uid, uids, MAX_WORDS), ng = subids("/etc/subgid", name, uid, gids, MAX_WORDS);

	if (nu == 0 || ng == 0)
		return unshare_user() != 0 || map_single(uid, gid) != 0 ? -1 : 0;

	int go[2];
	mapping.newuidmap = start_mapper("newuidmap", uid, uids, nu, &go[0], &mapping.err[0]);
	mapping.newgidmap = start_mapper("newgidmap", gid, gids, ng, &go[1], &mapping.err[1]);
	if (mapping.newuidmap < 0 || mapping.newgidmap < 0)
		return fail("start newuidmap: %s", strerror(errno));
	if (unshare_user() != 0) {
		close(go[0]);
		close(go[1]);
		waitpid(mapping.newuidmap, NULL, 0);
		waitpid(mapping.newgidmap, NULL, 0);
		return -1;
	}
	release_mapper(go[0]); // both at once
	release_mapper(go[1]);
	berth_entry.mapping = 1;
	return 0;
}

// finish_create waits for newuidmap and newgidmap.
static int finish_create(void)
{
	int result = finish_mapper("newuidmap", mapping.newuidmap, mapping.err[0]);
	if (finish_mapper("newgidmap", mapping.newgidmap, mapping.err[1]) != 0)
		result = -1;
	if (result == 0 && await_maps() != 0)
		result = fail("newuidmap and newgidmap ended well, but have mapped nothing: check whether they are wrapper scripts");
	// A container may have no setuid programs (no-new-privileges), or other groups than its /etc/passwd says.
	if (result != 0 && mapping.in_container && map_single(berth_entry.uid, berth_entry.gid) == 0) {
		berth_entry.error[0] = berth_entry.hint[0] = 0;
		return 0;
	}
	if (result == 0 && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)) // of all threads: nptl(7)
		return fail("become root of the user namespace: %s", strerror(errno));
	return result;
}

// announce tells later commands of the namespace that this process has made.
static void announce(int dir)
{
	char map[1024], pid[16];
	ino_t ino;
	snprintf(pid, sizeof pid, "%d", getpid());
	int self = open_userns(pid, &ino);
	if (self >= 0 && read_map(pid, map, sizeof map) > 0)
		write_known(dir, pid, ino, map);
	close(self);
}

static void leave_runtime_dir(void)
{
	if (mapping.lock >= 0)
		close(mapping.lock);
	close(mapping.dir);
}

void berth_finish_enter(void)
{
	if (!berth_entry.mapping)
		return;
	berth_entry.mapping = 0;
	berth_entry.entered = finish_create() == 0;
	if (berth_entry.entered)
		announce(mapping.dir);
	else if (!berth_entry.hint[0] && restricted())
		hint_restricted();
	leave_runtime_dir();
}

static int join_or_create(void)
{
	struct known k;
	mapping.dir = runtime_dir();
	if (mapping.dir < 0)
		return -1;
	int fd = -1;
	if (read_known(mapping.dir, &k))
		fd = matching(k.pid, &k);
	if (fd < 0) {
		mapping.lock = openat(mapping.dir, "userns.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (mapping.lock < 0 || flock(mapping.lock, LOCK_EX) != 0)
			return fail("lock the user namespace's file in the runtime directory: %s", strerror(errno));
		if (read_known(mapping.dir, &k) && (fd = matching(k.pid, &k)) < 0)
			fd = search(mapping.dir, &k);
	}
	int result;
	if (fd >= 0) {
		berth_entry.single = strchr(k.map, '\n') == strrchr(k.map, '\n') && strstr(k.map, " 1\n") != NULL;
		result = join(fd);
	} else {
		result = create();
		// user_namespaces(7): the maker of a namespace has all capabilities in it, mapped or not. unshare(2) of mounts is for a
		// process of one thread, so it cannot wait for the maps.
		if (result == 0)
			result = private_mounts();
		if (result != 0 && berth_entry.mapping) {
			berth_entry.mapping = 0;
			waitpid(mapping.newuidmap, NULL, 0);
			waitpid(mapping.newgidmap, NULL, 0);
		}
		if (result == 0 && !berth_entry.mapping)
			announce(mapping.dir);
		if (result != 0 && !berth_entry.hint[0] && restricted())
			hint_restricted();
	}
	if (!berth_entry.mapping)
		leave_runtime_dir();
	return result;
}

// enter_of joins the namespace that the monitor of container process pid lived in.
static int enter_of(const char *pid, bool parent)
{
	ino_t ino;
	int fd = open_userns(pid, &ino);
	if (fd < 0)
		return fail("open the user namespace of process %s: %s", pid, strerror(errno));
	if (parent) {
		int up = ioctl(fd, NS_GET_PARENT);
		close(fd);
		if (up < 0)
			return fail("find the user namespace around process %s: %s", pid, strerror(errno));
		fd = up;
	}
	return join(fd);
}

__attribute__((constructor)) static void enter(int argc, char **argv)
{
	berth_entry.uid = geteuid();
	berth_entry.gid = getegid();
	// Now, since in another mount namespace the kernel may not find the way from a root that chroot(2) has set to the file.
	ssize_t n = readlink("/proc/self/exe", berth_entry.exe, sizeof berth_entry.exe - 1);
	berth_entry.exe[n > 0 ? n : 0] = 0;
	// Buildah's helper that a RUN's container descends from is to outlive its parent by a moment, whatever is killed with that, so
	// that the keeper (package leash) finds the container.
	if (argc > 0 && strcmp(argv[0], "buildah-oci-runtime") == 0 && getenv("_BERTH_LEASH")) {
		prctl(PR_SET_PDEATHSIG, 0);
		setsid();
	}
	const char *pid = getenv("_BERTH_ENTER_PID");
	if (argc < 1 || (!pid && !getenv("_BERTH_ENTER") && !berth_must_enter(argc, argv)))
		return;
	// The storage library runs this program again under other names for its own helpers.
	const char *base = strrchr(argv[0], '/');
	base = base ? base + 1 : argv[0];
	if (strncmp(base, "storage-", 8) == 0 || strncmp(base, "buildah-", 8) == 0 || strcmp(base, "untar") == 0)
		return;
	if (geteuid() == 0 && (may_mount() || getenv("_CONTAINERS_USERNS_CONFIGURED"))) {
		char map[1024];
		bool inside = getenv("_CONTAINERS_USERNS_CONFIGURED"); // this process, or its parent, has entered already and executed this program
		if (inside)
			berth_entry.single = read_map("self", map, sizeof map) > 0 && strchr(map, '\n') == strrchr(map, '\n') && strstr(map, " 1\n");
		if ((!inside || getenv("_BERTH_ENTER")) && private_mounts() != 0)
			berth_entry.error[0] = 0; // a root without CAP_SYS_ADMIN: what needs mounts says so later
		return;
	}
	int r = pid ? enter_of(pid, getenv("_BERTH_ENTER_PARENT") != NULL) : join_or_create();
	berth_entry.entered = r == 0 && !berth_entry.mapping;
}

/*
 * The program in the image that berth carries: it prints what just happened, and on
 * what. It is linked with nothing, so that the image is some kilobytes: the system calls
 * are below, and what it tells it reads from /proc and /run/.containerenv.
 */
#include <stddef.h>

#if defined(__x86_64__)
enum { SYS_read = 0, SYS_write = 1, SYS_open = 2, SYS_close = 3, SYS_ioctl = 16, SYS_socket = 41, SYS_exit = 60, SYS_uname = 63 };

static long call(long n, long a, long b, long c)
{
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return r;
}

static long open_file(const char *path) { return call(SYS_open, (long)path, 0, 0); }

__asm__(".global _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
#elif defined(__aarch64__)
enum { SYS_ioctl = 29, SYS_openat = 56, SYS_close = 57, SYS_read = 63, SYS_write = 64, SYS_exit = 93, SYS_uname = 160, SYS_socket = 198 };

static long call4(long n, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

static long call(long n, long a, long b, long c) { return call4(n, a, b, c, 0); }
static long open_file(const char *path) { return call4(SYS_openat, -100 /* AT_FDCWD */, (long)path, 0, 0); }

__asm__(".global _start\n_start:\n\tmov x29, xzr\n\tmov x0, sp\n\tbl start\n");
#else
#error "add this architecture's system calls"
#endif

enum { AF_INET = 2, SOCK_DGRAM = 2, SIOCGIFADDR = 0x8915, FILE_MAX = 65536 };

/* gcc makes calls of these two by itself. */
void *memset(void *p, int c, size_t n)
{
	char *s = p;
	while (n--)
		*s++ = (char)c;
	return p;
}

void *memcpy(void *to, const void *from, size_t n)
{
	char *t = to;
	const char *f = from;
	while (n--)
		*t++ = *f++;
	return to;
}

static char out[16384];
static size_t used;

static void put(const char *s)
{
	while (*s && used < sizeof out)
		out[used++] = *s++;
}

static void put_number(unsigned long n)
{
	char digits[24], *p = digits + sizeof digits;
	*--p = 0;
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	put(p);
}

static void flush(void)
{
	size_t done = 0;
	while (done < used) {
		long n = call(SYS_write, 1, (long)(out + done), (long)(used - done));
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	used = 0;
}

static int begins(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return 0;
	return 1;
}

/* read_file returns the text of a small file, or "" where it cannot be read. */
static char *read_file(const char *path, char *text)
{
	long fd = open_file(path), n, len = 0;
	text[0] = 0;
	if (fd < 0)
		return text;
	while (len < FILE_MAX - 1 && (n = call(SYS_read, fd, (long)(text + len), FILE_MAX - 1 - len)) > 0)
		len += n;
	text[len] = 0;
	call(SYS_close, fd, 0, 0);
	return text;
}

static char *next_line(char *p)
{
	while (*p && *p != '\n')
		p++;
	return *p ? p + 1 : p;
}

/* word returns the nth blank-separated word of a line, which ends at a blank, or "". */
static const char *word(const char *line, int nth)
{
	for (;;) {
		while (*line == ' ' || *line == '\t')
			line++;
		if (nth-- == 0)
			return line;
		while (*line && *line != ' ' && *line != '\t' && *line != '\n')
			line++;
		if (!*line || *line == '\n')
			return "";
	}
}

static void put_word(const char *s)
{
	while (*s && *s != ' ' && *s != '\t' && *s != '\n' && used < sizeof out)
		out[used++] = *s++;
}

static char file_text[FILE_MAX], env_text[FILE_MAX];

/* env returns the value of KEY="VALUE" in /run/.containerenv, or NULL. */
static int put_env(const char *key)
{
	for (char *p = env_text; *p; p = next_line(p)) {
		const char *k = key;
		char *v = p;
		while (*k && *v == *k)
			v++, k++;
		if (*k || *v != '=')
			continue;
		v++;
		if (*v == '"')
			v++;
		if (*v == '"' || *v == '\n' || !*v)
			return 0;
		while (*v && *v != '"' && *v != '\n' && used < sizeof out)
			out[used++] = *v++;
		return 1;
	}
	return 0;
}

static void label(const char *s)
{
	size_t start = used;
	put("  ");
	put(s);
	while (used < start + 14)
		put(" ");
}

static void show_kernel(void)
{
	struct { char sysname[65], node[65], release[65], version[65], machine[65], domain[65]; } u;
	label("kernel");
	if (call(SYS_uname, (long)&u, 0, 0) < 0) {
		put("unknown\n");
		return;
	}
	put(u.sysname), put(" "), put(u.release), put(" "), put(u.machine);
	put(", host name "), put(u.node), put("\n");
}

static void show_runtime(void)
{
	label("engine");
	if (!put_env("engine"))
		put("not told (no /run/.containerenv)");
	put("\n");
	label("runtime");
	if (!put_env("runtime"))
		put("an OCI runtime, not told which");
	put("\n");
}

/* The root mount's line in mountinfo: proc_pid_mountinfo(5). */
static void show_storage(void)
{
	label("storage");
	for (char *p = read_file("/proc/self/mountinfo", file_text); *p; p = next_line(p)) {
		if (!begins(word(p, 4), "/ "))
			continue;
		for (int i = 6; *word(p, i); i++) {
			if (!begins(word(p, i), "- "))
				continue;
			const char *type = word(p, i + 1);
			if (!begins(type, "overlay ") && !begins(type, "fuse")) {
				put("vfs: a directory on ");
			}
			put_word(type);
			put(", mounted in the monitor's mount namespace\n");
			return;
		}
	}
	put("unknown\n");
}

static void show_map(const char *path, const char *what)
{
	int first = 1;
	for (char *p = read_file(path, file_text); *p; p = next_line(p)) {
		put(first ? what : ", ");
		put_word(word(p, 0)), put(" is "), put_word(word(p, 1)), put(" outside");
		if (!begins(word(p, 2), "1\n"))
			put(" ("), put_word(word(p, 2)), put(" IDs)");
		first = 0;
	}
	if (first)
		put(what), put("mapping unknown");
	put("\n");
}

static void show_user(void)
{
	label("user");
	show_map("/proc/self/uid_map", "user ID ");
	label("group");
	show_map("/proc/self/gid_map", "group ID ");
}

static void show_security(void)
{
	label("security");
	for (char *p = read_file("/proc/self/status", file_text); *p; p = next_line(p)) {
		if (begins(p, "CapEff:"))
			put("capabilities "), put_word(word(p, 1));
		if (begins(p, "NoNewPrivs:"))
			put(", no_new_privs "), put_word(word(p, 1));
		if (begins(p, "Seccomp:"))
			put(begins(word(p, 1), "2") ? ", seccomp filter" : ", no seccomp filter");
	}
	put("\n");
}

/* put_address adds the IPv4 address of an interface: netdevice(7). */
static void put_address(const char *name, size_t len)
{
	struct { char name[16]; unsigned short family; unsigned char data[22]; } req = { .family = AF_INET };
	long fd = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return;
	if (len < sizeof req.name) {
		memcpy(req.name, name, len);
		if (call(SYS_ioctl, fd, SIOCGIFADDR, (long)&req) == 0) {
			put(" ");
			for (int i = 0; i < 4; i++) {
				if (i)
					put(".");
				put_number(req.data[2 + i]);
			}
		}
	}
	call(SYS_close, fd, 0, 0);
}

static void show_network(void)
{
	int first = 1;
	label("network");
	for (char *p = read_file("/proc/net/dev", file_text); *p; p = next_line(p)) {
		const char *name = word(p, 0);
		size_t len = 0;
		while (name[len] && name[len] != ':' && name[len] != '\n' && name[len] != '|')
			len++;
		if (name[len] != ':')
			continue;
		if (!first)
			put(", ");
		first = 0;
		for (size_t i = 0; i < len && used < sizeof out; i++)
			out[used++] = name[i];
		put_address(name, len);
	}
	if (first)
		put("no interface");
	put("\n");
}

__attribute__((used)) void start(long *sp)
{
	(void)sp;
	read_file("/run/.containerenv", env_text);
	put("Hello from Berth!\n\n"
	    "What just happened:\n"
	    "  1. berth took the image localhost/hello from your store. It put it there the first time,\n"
	    "     out of its own program file: no registry was asked, and no daemon runs.\n"
	    "  2. It made this container, and started a small monitor for it.\n"
	    "  3. The monitor mounted the container's root file system, where only it sees it, and\n"
	    "     had an OCI runtime start this program, which prints what you read, and ends.\n\n"
	    "On what:\n");
	show_kernel();
	show_runtime();
	show_storage();
	show_user();
	show_security();
	show_network();
	put("\nNow try:\n"
	    "  berth run --rm -it docker.io/library/debian bash\n"
	    "  berth ps -a\n");
	flush();
	call(SYS_exit, 0, 0, 0);
	__builtin_unreachable();
}

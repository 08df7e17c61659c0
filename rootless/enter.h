// SPDX-License-Identifier: Apache-2.0

#ifndef BERTH_ENTER_H
#define BERTH_ENTER_H
#include <stdbool.h>
#include <sys/types.h>

// What the constructor did, for package rootless.
struct berth_entry {
	int entered;     // this process is in the user namespace now
	int mapping;     // its IDs are being mapped: berth_finish_enter waits for that
	int single;      // only one ID is mapped there
	uid_t uid;       // the user's IDs outside
	gid_t gid;
	char error[512]; // why it could not enter; empty if it did, or did not have to
	char hint[256];
	char exe[4096];  // this program's file, as it is called where the process was started; empty if that is not known
};
extern struct berth_entry berth_entry;

// Whether a command line works on layers, and so has to be in the user namespace. The program may define it; else none does.
bool berth_must_enter(int argc, char **argv);

// Waits until the IDs of the user namespace are mapped. Before that the process has all its rights in the namespace, and no user ID. The
// Go runtime starts meanwhile. Sets berth_entry.entered or berth_entry.error.
void berth_finish_enter(void);
#endif

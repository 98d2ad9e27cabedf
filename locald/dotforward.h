/* Delivery as ~/.forward says, read under the user's own uid. Used by deliverer.c. */
#ifndef LOCALD_DOTFORWARD_H
#define LOCALD_DOTFORWARD_H

#include "batch.h"

/* Delivers the current message for TARGET, whose home is set: as HOME/.forward says, into the
 * mailbox where there is none or an empty one. FORWARD and RUN frames go out at once, the rest is
 * merged into DELIVERY; a file that can't be trusted or understood defers the mail (4.3.5). */
void dotforward_deliver(struct batch *batch, struct delivery *delivery, struct target *target);

#endif

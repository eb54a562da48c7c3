/* The header alone, in every C and C++ it promises; including it twice is harmless. */

#include "interfuse.h"
#include "interfuse.h"

int main(void) {
    interfuse_callback none = 0;
    return none == 0 && interfuse_abi_version() == INTERFUSE_ABI_VERSION && interfuse_version()[0] != 0 ? 0 : 1;
}

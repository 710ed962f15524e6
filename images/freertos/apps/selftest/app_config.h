/* SPDX-License-Identifier: MIT */
/* The tick hook disturbs the VFP from interrupt context while the float check runs. */
#define configUSE_TICK_HOOK 1

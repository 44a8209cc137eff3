"""Brain tumours segmented on active voxels only, on every voxel, and by MONAI: Dice, time, memory."""

drop schema psp_simulator cascade;
